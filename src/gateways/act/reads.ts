import { roomIdFrom } from "../../leases/target.ts";
import { param } from "../../platform/http/server.ts";
import type { ActHandler, Endpoint } from "./act.ts";
import { requireRoom } from "./access.ts";
import { requireAction } from "./caller.ts";
import { pathOf } from "./path.ts";

/** What reads can be told: pages, filters and formats. */
const READ_PARAMETERS: ReadonlySet<string> = new Set([
  ...["from", "to", "dir", "limit", "filter"],
  ...["at", "membership", "not_membership", "format"],
]);

/** Passes a read to the homeserver as the pseudouser; the answer streams through as it is. */
const read: ActHandler = async (parts, tenant, request, reply) => {
  requireAction(tenant, "read");
  await requireRoom(parts, tenant, roomIdFrom(param(request, "roomId")));
  return parts.upstream.asPseudouser(
    { method: "GET", path: pathOf(request, READ_PARAMETERS), headers: request.headers, body: null },
    reply,
  );
};

const READS: readonly (readonly [path: string, note: string])[] = [
  ["/rooms/:roomId/joined_members", "joined members"],
  ["/rooms/:roomId/members", "membership events"],
  ["/rooms/:roomId/state", "the whole state"],
  ["/rooms/:roomId/state/:eventType", "one state event's content"],
  ["/rooms/:roomId/state/:eventType/:stateKey", "one state event's content"],
  ["/rooms/:roomId/messages", "history"],
  ["/rooms/:roomId/event/:eventId", "one event"],
  ["/rooms/:roomId/context/:eventId", "an event and those around it"],
];

export const readEndpoints: readonly Endpoint[] = READS.map(([path, note]) => ({
  method: "GET",
  path,
  how: "passed",
  note,
  handler: read,
}));
