import type { FastifyRequest } from "fastify";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { CLIENT_V1 } from "../../../http/client-paths.ts";
import { param, queryAll } from "../../../http/server.ts";
import { requireDeed } from "../access.ts";
import type { RoomId } from "../../../model/ids.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { membersShown } from "../users/members.ts";
import { withPageTokens } from "./page-tokens.ts";
import { echoedAnswer, echoedContent, echoedEntry, MAX_ECHO_BYTES } from "./echo.ts";
import { readHierarchy } from "./hierarchy.ts";
import { NONE, pathOf } from "../path.ts";

/** Query parameters of reads: pages, filters and formats. */
const PAGES: ReadonlySet<string> = new Set(["from", "to", "dir", "limit", "filter", "format"]);
const RELATIONS: ReadonlySet<string> = new Set(["from", "to", "dir", "limit", "recurse"]);
const THREADS: ReadonlySet<string> = new Set(["from", "limit", "include"]);
const MOMENT: ReadonlySet<string> = new Set(["ts", "dir"]);

/** Passes a read to the homeserver as the pseudouser. In the answer the tenant's events have its users as senders. */
function read(
  allowed: ReadonlySet<string>,
  isContent: (request: FastifyRequest) => boolean = () => false,
  pathFor: (parts: ActParts, roomId: RoomId, request: FastifyRequest, path: string) => Promise<string> = async (
    _parts,
    _roomId,
    _request,
    path,
  ) => path,
): ActHandler {
  return async (parts, caller, request, reply) => {
    const roomId = roomIdFrom(param(request, "roomId"));
    await requireDeed(parts, caller, roomId, { action: "read" });
    const viewer = parts.tenants.viewerOf(caller.tenant);
    const type = isContent(request) ? param(request, "eventType") : null;
    const path = await pathFor(parts, roomId, request, pathOf(request, allowed));
    return parts.upstream.revised({ method: "GET", path, headers: request.headers, body: null }, reply, {
      limit: MAX_ECHO_BYTES,
      revise: (body) => (type === null ? echoedAnswer(body, viewer, parts.owners) : echoedContent(type, body, viewer)),
    });
  };
}

/** Streams the whole state: a room may have a hundred thousand members. Shows the same members as /members. */
const readWholeState: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "read" });
  const viewer = parts.tenants.viewerOf(caller.tenant);
  const shown = await membersShown(parts, caller, roomId);
  return parts.upstream.rewritten(
    { method: "GET", path: pathOf(request, PAGES), headers: request.headers, body: null },
    reply,
    {
      within: null,
      change: (event) => (shown.replaces(event) ? null : echoedEntry(event, viewer)),
      more: () => shown.events,
      unreadable: null,
    },
  );
};

/** Returns one state event's content, or the whole event with `format=event`. */
const readState = read(PAGES, (request) => !queryAll(request, "format").includes("event"));
const readPages = read(PAGES);
const readHistory = read(PAGES, () => false, withPageTokens);
const readRelations = read(RELATIONS);

type Read = readonly [path: string, note: string, handler: ActHandler];

const READS: readonly Read[] = [
  ["/rooms/:roomId/state", "the whole state", readWholeState],
  ["/rooms/:roomId/state/:eventType", "one state event's content", readState],
  ["/rooms/:roomId/state/:eventType/:stateKey", "one state event's content", readState],
  ["/rooms/:roomId/messages", "history; `from` and `to` may be tokens of `/sync`", readHistory],
  ["/rooms/:roomId/event/:eventId", "one event", readPages],
  ["/rooms/:roomId/context/:eventId", "an event and those around it", readPages],
  ["/rooms/:roomId/aliases", "the aliases that the homeserver knows", read(NONE)],
];

const V1_READS: readonly Read[] = [
  ["/rooms/:roomId/relations/:eventId", "what relates to an event", readRelations],
  ["/rooms/:roomId/relations/:eventId/:relType", "what relates to it in one way", readRelations],
  ["/rooms/:roomId/relations/:eventId/:relType/:eventType", "of that, one type of events", readRelations],
  ["/rooms/:roomId/threads", "the threads of a room", read(THREADS)],
  ["/rooms/:roomId/timestamp_to_event", "the event nearest to a time", read(MOMENT)],
  ["/rooms/:roomId/hierarchy", "a space's rooms, without those that only other tenants can see", readHierarchy],
];

export const readEndpoints: readonly Endpoint[] = [
  ...READS.map(([path, note, handler]) => ({ method: "GET", path, how: "passed", note, handler }) as const),
  ...V1_READS.map(
    ([path, note, handler]) => ({ method: "GET", path, under: CLIENT_V1, how: "passed", note, handler }) as const,
  ),
];
