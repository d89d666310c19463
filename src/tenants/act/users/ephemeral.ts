import type { RoomId } from "../../../model/ids.ts";
import { only, stringAt, written, type JsonObject } from "../../../model/json.ts";
import { revisionOf } from "../../../model/json-text.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { requireDeed } from "../access.ts";
import { requirePersona, type Caller } from "../caller.ts";
import { NONE, pathOf } from "../path.ts";
import { SMALL_BODY_LIMIT } from "./personas.ts";

/** Drops unknown keys: MSC4446's `com.beeper.allow_backward` would move a marker back for all tenants. */
async function known(request: FastifyRequest, ...keys: readonly string[]): Promise<JsonObject> {
  const asked = await readJson(request, SMALL_BODY_LIMIT);
  return revisionOf(asked, only(asked, ...keys), "all");
}

function passJson(
  parts: ActParts,
  reply: FastifyReply,
  method: "PUT" | "POST",
  path: string,
  body: JsonObject,
): Promise<FastifyReply> {
  const sent = { method, path, headers: { "content-type": "application/json" }, body: Buffer.from(written(body)) };
  return parts.upstream.asPseudouser(sent, reply);
}

/** The room sees the pseudouser's furthest receipt; the tenant gets its user's, as an appservice would. */
const receipt: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "read" });
  const path = pathOf(request, NONE);
  const body = await known(request, "thread_id");
  const passed = await passJson(parts, reply, "POST", path, body);
  const thread = stringAt(body, "thread_id");
  const given = { ts: parts.clock.now(), ...(thread === null ? {} : { thread_id: thread }) };
  tellReceipt(parts, caller, roomId, reply, {
    [param(request, "eventId")]: { [param(request, "receiptType")]: given },
  });
  return passed;
};

const readMarkers: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "read" });
  const path = pathOf(request, NONE);
  const body = await known(request, "m.fully_read", "m.read", "m.read.private");
  const passed = await passJson(parts, reply, "POST", path, body);
  const ts = parts.clock.now();
  for (const type of RECEIPTS) {
    const eventId = stringAt(body, type);
    if (eventId !== null) tellReceipt(parts, caller, roomId, reply, { [eventId]: { [type]: { ts } } });
  }
  return passed;
};

/** Receipts that tenants are told of. Read markers concern only their user. */
const RECEIPTS: readonly string[] = ["m.read", "m.read.private"];

function tellReceipt(
  { receipts }: ActParts,
  { tenant, user }: Caller,
  roomId: RoomId,
  reply: FastifyReply,
  given: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>,
): void {
  if (reply.statusCode !== 200) return;
  const content = Object.entries(given).map(([eventId, byType]) => {
    const told = Object.entries(byType).filter(([type]) => RECEIPTS.includes(type));
    return [eventId, Object.fromEntries(told.map(([type, data]) => [type, { [user]: data }]))] as const;
  });
  if (content.every(([, byType]) => Object.keys(byType).length === 0)) return;
  receipts.offer(tenant.id, { type: "m.receipt", room_id: roomId, content: Object.fromEntries(content) });
}

/** Passes typing on. The pseudouser types in a room while any tenant's user does. */
const typing: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "send" });
  const user = requirePersona(parts.tenants, caller.tenant, param(request, "userId"));
  const path = pathOf(request, NONE, { userId: parts.own });
  const body = await known(request, "typing", "timeout");
  const { typing: isTyping, timeout } = body;
  // A timeout or flag of a wrong type is passed on unchanged for the homeserver to refuse.
  const seen =
    typeof isTyping === "boolean" && (timeout === undefined || typeof timeout === "number")
      ? parts.typists.note(roomId, caller.tenant.id, user, { typing: isTyping, timeout: timeout ?? null })
      : null;
  return passJson(parts, reply, "PUT", path, seen === null ? body : { ...seen });
};

/** Receipts, markers and typing. All show as the pseudouser's; a homeserver does not let receipts go backwards. */
export const ephemeralEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/rooms/:roomId/receipt/:receiptType/:eventId",
    how: "passed",
    note: "as the pseudouser; the tenant is told of its user's",
    handler: receipt,
  },
  {
    method: "POST",
    path: "/rooms/:roomId/read_markers",
    how: "passed",
    note: "as the pseudouser",
    handler: readMarkers,
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/typing/:userId",
    how: "passed",
    note: "a user of the tenant's becomes the pseudouser, which types for as long as any tenant's user does",
    handler: typing,
  },
];
