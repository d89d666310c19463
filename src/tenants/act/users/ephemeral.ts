import type { FastifyRequest } from "fastify";
import type { RoomId } from "../../../model/ids.ts";
import { only, stringAt, type JsonObject } from "../../../model/json.ts";
import { revisionOf } from "../../../model/json-text.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import { requirePersona, requireRoom } from "../access.ts";
import { passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { NONE, passJson, pathOf, SMALL_BODY_LIMIT } from "../pass.ts";

/** Drops unknown keys: MSC4446's `com.beeper.allow_backward` would move a marker back for all tenants. */
async function known(request: FastifyRequest, ...keys: readonly string[]): Promise<JsonObject> {
  const asked = await readJson(request, SMALL_BODY_LIMIT);
  return revisionOf(asked, only(asked, ...keys), "all");
}

/** The room sees the pseudouser's furthest receipt; the tenant gets its user's, as an appservice would. */
const receipt: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const { request } = call;
  const path = pathOf(request);
  const body = await known(request, "thread_id");
  const answer = await passJson(call, "POST", path, body);
  const thread = stringAt(body, "thread_id");
  tellReceipt(call, roomId, param(request, "receiptType"), param(request, "eventId"), thread);
  return answer;
};

const readMarkers: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const path = pathOf(call.request);
  const body = await known(call.request, "m.fully_read", "m.read", "m.read.private");
  const answer = await passJson(call, "POST", path, body);
  for (const type of RECEIPTS) tellReceipt(call, roomId, type, stringAt(body, type), null);
  return answer;
};

/** Receipts that tenants are told of. Read markers concern only their user. */
const RECEIPTS: readonly string[] = ["m.read", "m.read.private"];

function tellReceipt(
  { parts, tenant, user, reply }: Call,
  roomId: RoomId,
  type: string,
  eventId: string | null,
  thread: string | null,
): void {
  if (reply.statusCode !== 200 || eventId === null || !RECEIPTS.includes(type)) return;
  const data = { ts: parts.clock.now(), ...(thread !== null && { thread_id: thread }) };
  const content = { [eventId]: { [type]: { [user]: data } } };
  parts.couriers.offer(tenant.id, { type: "m.receipt", room_id: roomId, content });
}

/** Passes typing on. The pseudouser types in a room while any tenant's user does. */
const typing: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "send");
  const { parts, tenant, request } = call;
  const user = requirePersona(parts.tenants, tenant, param(request, "userId"));
  const path = pathOf(request, NONE, { userId: parts.own });
  const body = await known(request, "typing", "timeout");
  const { typing: isTyping, timeout } = body;
  // A timeout or flag of a wrong type is passed on unchanged for the homeserver to refuse.
  const seen =
    typeof isTyping === "boolean" && (timeout === undefined || typeof timeout === "number")
      ? parts.typists.note(roomId, tenant.id, user, { typing: isTyping, timeout: timeout ?? null })
      : null;
  return passJson(call, "PUT", path, seen === null ? body : { ...seen });
};

/** Receipts, markers and typing. All show as the pseudouser's; a homeserver does not let receipts go backwards. */
export const ephemeralEndpoints: readonly Endpoint[] = [
  passed(
    "POST /rooms/:roomId/receipt/:receiptType/:eventId",
    "as the pseudouser; the tenant is told of its user's",
    receipt,
  ),
  passed("POST /rooms/:roomId/read_markers", "as the pseudouser", readMarkers),
  passed(
    "PUT /rooms/:roomId/typing/:userId",
    "a user of the tenant's becomes the pseudouser, which types for as long as any tenant's user does",
    typing,
  ),
];
