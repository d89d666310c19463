import { EmissaryError } from "../../../model/errors.ts";
import { roomIdFrom } from "../../../leases/target.ts";
import { isJsonObject, parsedObject, type JsonObject, type JsonValue } from "../../../model/json.ts";
import { param } from "../../../platform/http/server.ts";
import { requireDeed } from "../access.ts";
import type { ActHandler } from "../act.ts";
import { holderOf } from "../caller.ts";
import { echoedEvents, MAX_ECHO_BYTES } from "./echo.ts";
import { pathOf } from "../path.ts";

const PARAMETERS: ReadonlySet<string> = new Set(["from", "limit", "max_depth", "suggested_only"]);

/**
 * Join rules that let anybody see what a room is (spec, "Server behaviour" of spaces). A room that tells none is public. A peekable one
 * is told as world-readable, where its version has the rule; elsewhere that rule closes a room.
 */
const OPEN: ReadonlySet<JsonValue | undefined> = new Set([undefined, "public", "knock", "knock_restricted"]);

/**
 * The rooms of a space. The homeserver tells the pseudouser of every room that it is in, for whichever tenant; this one is told of
 * those that it has a lease in, that anybody may see, or that one of its rooms opens.
 */
export const readHierarchy: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "read" });
  const { tenant } = caller;
  const { status, headers, body } = await parts.upstream.answer(
    "GET",
    pathOf(request, PARAMETERS),
    null,
    MAX_ECHO_BYTES,
  );
  if (status !== 200) return reply.code(status).headers(headers).send(body);
  const rooms = new Set<JsonValue>(await parts.leases.presentRoomsOf(holderOf(tenant)));
  const seen = Buffer.from(JSON.stringify(visible(parsedObject(body), rooms)));
  // The length was that of the homeserver's text.
  delete headers["content-length"];
  return reply
    .code(200)
    .headers(headers)
    .send(echoedEvents(seen, { own: parts.own, tenant }) ?? seen);
};

function visible(answer: JsonObject, own: ReadonlySet<JsonValue>): JsonObject {
  const rooms = answer["rooms"];
  if (!Array.isArray(rooms)) {
    throw new EmissaryError("homeserver-error", "The homeserver's answer is no list of a space's rooms.");
  }
  return { ...answer, rooms: rooms.filter((room) => isJsonObject(room) && isVisible(room, own)) };
}

function isVisible(room: JsonObject, own: ReadonlySet<JsonValue>): boolean {
  if (OPEN.has(room["join_rule"]) || room["world_readable"] === true || own.has(room["room_id"] ?? null)) return true;
  const opening = room["allowed_room_ids"];
  return Array.isArray(opening) && opening.some((roomId) => own.has(roomId));
}
