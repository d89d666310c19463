import { only } from "../../../model/json.ts";
import { roomIdFrom } from "../../../leases/target.ts";
import { readJson } from "../../../platform/http/body.ts";
import { param } from "../../../platform/http/server.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { requireDeed } from "../access.ts";
import { requirePersona } from "../caller.ts";
import { pathOf } from "../path.ts";
import { SMALL_BODY_LIMIT } from "./personas.ts";

const NONE: ReadonlySet<string> = new Set();

async function passJson(
  parts: ActParts,
  request: FastifyRequest,
  reply: FastifyReply,
  method: "PUT" | "POST",
  path: string,
  keys: readonly string[],
): Promise<FastifyReply> {
  // Written anew: MSC4446's `com.beeper.allow_backward`, for one, would move a marker back for all tenants.
  const body = Buffer.from(JSON.stringify(only(await readJson(request, SMALL_BODY_LIMIT), ...keys)));
  return parts.upstream.asPseudouser({ method, path, headers: { "content-type": "application/json" }, body }, reply);
}

const read =
  (...keys: readonly string[]): ActHandler =>
  async (parts, caller, request, reply) => {
    await requireDeed(parts, caller, roomIdFrom(param(request, "roomId")), { action: "read" });
    return passJson(parts, request, reply, "POST", pathOf(request, NONE), keys);
  };

/**
 * A room sees one user type: whoever of all tenants' users stops typing, or says a shorter time, does so for all. It is left at
 * that, because software says again every few seconds that its user is typing.
 */
const typing: ActHandler = async (parts, caller, request, reply) => {
  await requireDeed(parts, caller, roomIdFrom(param(request, "roomId")), { action: "send" });
  requirePersona(parts.tenants, caller.tenant, param(request, "userId"));
  return passJson(parts, request, reply, "PUT", pathOf(request, NONE, { userId: parts.own }), ["typing", "timeout"]);
};

/** What passes and leaves no event. All of it shows as the pseudouser's; a homeserver does not let receipts go backwards. */
export const ephemeralEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/rooms/:roomId/receipt/:receiptType/:eventId",
    how: "passed",
    note: "as the pseudouser",
    handler: read("thread_id"),
  },
  {
    method: "POST",
    path: "/rooms/:roomId/read_markers",
    how: "passed",
    note: "as the pseudouser",
    handler: read("m.fully_read", "m.read", "m.read.private"),
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/typing/:userId",
    how: "passed",
    note: "a user of the tenant's becomes the pseudouser; whoever stops, stops for all of them",
    handler: typing,
  },
];
