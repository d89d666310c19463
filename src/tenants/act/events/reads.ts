import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../../model/errors.ts";
import type { RoomId } from "../../../model/ids.ts";
import { objectsOf, parsedObject, stringAt, without, written } from "../../../model/json.ts";
import type { JsonObject, JsonValue } from "../../../model/json.ts";
import { revisionOf, sourcedList } from "../../../model/json-text.ts";
import { CLIENT_V1 } from "../../../http/client-paths.ts";
import { param, queryAll } from "../../../http/server.ts";
import { sendWhole } from "../../../http/upstream.ts";
import { holderOf, requireRoom } from "../access.ts";
import { passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { NONE, pathOf, readOf } from "../pass.ts";
import { membersShown, withCount } from "../users/members.ts";
import { echoedAnswer, echoedContent, echoedEntry, echoedEvents, MAX_ECHO_BYTES } from "./echo.ts";
import { withPageTokens } from "./page-tokens.ts";

/** Query parameters of reads: pages, filters and formats. */
const PAGES: ReadonlySet<string> = new Set(["from", "to", "dir", "limit", "filter", "format"]);
const RELATIONS: ReadonlySet<string> = new Set(["from", "to", "dir", "limit", "recurse"]);
const THREADS: ReadonlySet<string> = new Set(["from", "limit", "include"]);
const MOMENT: ReadonlySet<string> = new Set(["ts", "dir"]);

/** Passes a read to the homeserver as the pseudouser. In the answer the tenant's events have its users as senders. */
function read(
  allowed: ReadonlySet<string>,
  isContent: (request: FastifyRequest) => boolean = () => false,
  pathFor: (call: Call, roomId: RoomId, path: string) => Promise<string> = async (_call, _roomId, path) => path,
): ActHandler {
  return async (call) => {
    const { roomId } = await requireRoom(call, "read");
    const { parts, tenant, request, reply } = call;
    const viewer = parts.tenants.viewerOf(tenant);
    const type = isContent(request) ? param(request, "eventType") : null;
    const path = await pathFor(call, roomId, pathOf(request, allowed));
    return parts.upstream.revised(readOf(request, path), reply, {
      limit: MAX_ECHO_BYTES,
      revise: (body) => (type === null ? echoedAnswer(body, viewer, parts.owners) : echoedContent(type, body, viewer)),
    });
  };
}

/** Streams the whole state: a room may have a hundred thousand members. Shows the same members as /members. */
const readWholeState: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const { parts, tenant, request, reply } = call;
  const viewer = parts.tenants.viewerOf(tenant);
  const shown = await membersShown(call, roomId);
  return parts.upstream.rewritten(readOf(request, pathOf(request, PAGES)), reply, {
    within: null,
    change: (event) => (shown.replaces(event) ? null : echoedEntry(event, viewer)),
    more: () => shown.events,
    unreadable: null,
  });
};

/** Returns one state event's content, or the whole event with `format=event`. */
const readState = read(PAGES, (request) => !queryAll(request, "format").includes("event"));
const readPages = read(PAGES);
const readHistory = read(PAGES, () => false, withPageTokens);
const readRelations = read(RELATIONS);

const HIERARCHY: ReadonlySet<string> = new Set(["from", "limit", "max_depth", "suggested_only"]);

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
const readHierarchy: ActHandler = async (call) => {
  await requireRoom(call, "read");
  const { parts, tenant, request, reply } = call;
  const ask = (path: string) => parts.upstream.answer("GET", path, null, MAX_ECHO_BYTES);
  const path = pathOf(request, HIERARCHY);
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

export const readEndpoints: readonly Endpoint[] = [
  passed("GET /rooms/:roomId/state", "the whole state", readWholeState),
  passed("GET /rooms/:roomId/state/:eventType", "one state event's content", readState),
  passed("GET /rooms/:roomId/state/:eventType/:stateKey", "one state event's content", readState),
  passed("GET /rooms/:roomId/messages", "history; `from` and `to` may be tokens of `/sync`", readHistory),
  passed("GET /rooms/:roomId/event/:eventId", "one event", readPages),
  passed("GET /rooms/:roomId/context/:eventId", "an event and those around it", readPages),
  passed("GET /rooms/:roomId/aliases", "the aliases that the homeserver knows", read(NONE)),
  ...(
    [
      ["/relations/:eventId", "what relates to an event", readRelations],
      ["/relations/:eventId/:relType", "what relates to it in one way", readRelations],
      ["/relations/:eventId/:relType/:eventType", "of that, one type of events", readRelations],
      ["/threads", "the threads of a room", read(THREADS)],
      ["/timestamp_to_event", "the event nearest to a time", read(MOMENT)],
      ["/hierarchy", "a space's rooms, without those that only other tenants can see", readHierarchy],
    ] as const
  ).map(([path, note, handler]) => passed(`GET /rooms/:roomId${path}`, note, handler, CLIENT_V1)),
];
