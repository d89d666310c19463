import { EmissaryError } from "../../../model/errors.ts";
import { objectsOf, parsedObject, stringAt, without, written } from "../../../model/json.ts";
import type { JsonObject, JsonValue } from "../../../model/json.ts";
import { revisionOf, sourcedList } from "../../../model/json-text.ts";
import { sendWhole } from "../../../http/upstream.ts";
import { holderOf, requireRoom } from "../access.ts";
import type { ActHandler } from "../act.ts";
import { withCount } from "../users/members.ts";
import { echoedEvents, MAX_ECHO_BYTES } from "./echo.ts";
import { pathOf } from "../pass.ts";

const PARAMETERS: ReadonlySet<string> = new Set(["from", "limit", "max_depth", "suggested_only"]);

/** Maximum requests to fill a page. */
const MAX_PAGES = 50;

/**
 * Join rules that let anyone see a room (spec, "Server behaviour" of spaces). A room without a rule is public. A
 * peekable room is shown as world-readable if its version has that rule; in other versions the rule closes a room.
 */
const OPEN: ReadonlySet<JsonValue | undefined> = new Set([undefined, "public", "knock", "knock_restricted"]);

/**
 * Lists the rooms of a space. The homeserver shows the pseudouser every room that it is in for any tenant. This
 * tenant sees rooms where it has a lease, rooms that anyone may see, and rooms that one of its rooms opens.
 */
export const readHierarchy: ActHandler = async (call) => {
  await requireRoom(call, "read");
  const { parts, tenant, request, reply } = call;
  const ask = (path: string) => parts.upstream.answer("GET", path, null, MAX_ECHO_BYTES);
  const path = pathOf(request, PARAMETERS);
  const begun = await ask(path);
  if (begun.status !== 200) return sendWhole(reply, begun);
  const own = new Set<JsonValue>(await parts.leases.presentRoomsOf(holderOf(tenant)));
  const first = pageIn(begun.body);
  const rooms = visible(first, own);
  let hidden = listOf(first).length - rooms.length;
  let next = stringAt(first, "next_batch");
  // A page with gaps would reveal how many rooms are hidden.
  for (let more = 0; hidden > 0 && next !== null && more < MAX_PAGES; more += 1) {
    const answer = await ask(pageOf(path, next, hidden));
    if (answer.status !== 200) return sendWhole(reply, answer);
    const page = pageIn(answer.body);
    const found = visible(page, own);
    rooms.push(...found);
    hidden -= found.length;
    next = stringAt(page, "next_batch");
  }
  const counted = await Promise.all(
    rooms.map(async (room) =>
      own.has(room["room_id"] ?? null) ? revisionOf(room, await withCount(call, room)) : room,
    ),
  );
  const whole = { ...without(first, "next_batch"), rooms: counted, ...(next === null ? {} : { next_batch: next }) };
  const seen = Buffer.from(written(whole));
  // It was the length of the homeserver's text.
  delete begun.headers["content-length"];
  return sendWhole(reply, { ...begun, body: echoedEvents(seen, parts.tenants.viewerOf(tenant)) ?? seen });
};

/** Parses a page; each room keeps its text. */
function pageIn(body: Buffer): JsonObject {
  const page = parsedObject(body);
  sourcedList(page, body.toString("utf8"), "rooms");
  return page;
}

function visible(answer: JsonObject, own: ReadonlySet<JsonValue>): JsonObject[] {
  return objectsOf(listOf(answer)).filter((room) => isVisible(room, own));
}

function listOf({ rooms }: JsonObject): JsonValue[] {
  if (Array.isArray(rooms)) return rooms;
  throw new EmissaryError("homeserver-error", "The homeserver's answer is no list of a space's rooms.");
}

/** Returns the same request for up to `limit` rooms from a page's end. */
function pageOf(path: string, from: string, limit: number): string {
  const [base = "", query = ""] = path.split("?", 2);
  const asked = new URLSearchParams(query);
  asked.set("from", from);
  asked.set("limit", String(limit));
  return `${base}?${asked.toString()}`;
}

function isVisible(room: JsonObject, own: ReadonlySet<JsonValue>): boolean {
  if (OPEN.has(room["join_rule"]) || room["world_readable"] === true || own.has(room["room_id"] ?? null)) return true;
  const opening = room["allowed_room_ids"];
  return Array.isArray(opening) && opening.some((roomId) => own.has(roomId));
}
