import { isRoomId, isServerName, type RoomId, type ServerName } from "../model/ids.ts";
import { objectAt, objectsOf, parsedObject, stringAt, type JsonObject, type JsonValue } from "../model/json.ts";
import { mergeVia } from "../model/room.ts";

/** Larger answers are not parsed: that would delay everybody. */
const MOST_PARSED = 4 * 1024 * 1024;
const MOST_ROOMS = 500;
/** Larger answers are not searched for links. */
const MOST_SEARCHED = 1024 * 1024;
/** Most links examined in one answer. Bounds the cost of other people's content. */
const MOST_LINKS = 200;
const ROUTES = "?via=";
/** Longest text of a link before its routes, and longest routes, in bytes. */
const BEFORE = 400;
const AFTER = 1_000;
/** A link to a room by ID, or to its event (spec, "Matrix URI scheme", "matrix.to navigation"). */
const ROOM = /(matrix\.to\/#\/|matrix:roomid\/)([^\s"'<>()\\/?]{1,300})(?:\/[^\s"'<>()\\?]*)?$/;
/** Ends a link in the JSON of a plain or formatted text. */
const END = /[\s"'<>()\\[\]]/;

/** A room in an answer, and the servers that the answer says are in it. */
export type NamedRoute = readonly [roomId: RoomId, via: readonly ServerName[]];

/** Returns the rooms of a room directory. The server that lists a room is in it. */
export function routesOfDirectory(body: Buffer, server: ServerName): readonly NamedRoute[] {
  return entriesOf(body, "chunk").flatMap((entry) => {
    const roomId = roomIdAt(entry, "room_id");
    return roomId === null ? [] : [[roomId, [server]] as const];
  });
}

/** Returns the rooms of a space (`m.space.child` names servers in the child, spec, "Spaces"). */
export function routesOfSpace(body: Buffer): readonly NamedRoute[] {
  const told: NamedRoute[] = [];
  for (const room of entriesOf(body, "rooms")) {
    for (const child of objectsOf(room["children_state"])) {
      const roomId = roomIdAt(child, "state_key");
      const via = serversIn(objectAt(child, "content")["via"]);
      if (roomId !== null && via.length > 0) told.push([roomId, via]);
      if (told.length === MOST_ROOMS) return told;
    }
  }
  return told;
}

/** Returns the rooms that links point to, with their servers (`via`): a client then asks by ID alone. */
export function routesOfLinks(body: Buffer): readonly NamedRoute[] {
  const told: NamedRoute[] = [];
  if (body.length > MOST_SEARCHED) return told;
  let looked = 0;
  for (let at = body.indexOf(ROUTES); at !== -1 && looked < MOST_LINKS; at = body.indexOf(ROUTES, at + 1)) {
    looked += 1;
    const [, site, room] = ROOM.exec(body.toString("utf8", Math.max(0, at - BEFORE), at)) ?? [];
    // `matrix:` links omit the sigil.
    const roomId = room === undefined ? "" : `${site === "matrix:roomid/" ? "!" : ""}${decoded(room)}`;
    const [query = ""] = body.toString("utf8", at + 1, at + AFTER).split(END, 1);
    const via = query.split(/&(?:amp;)?/).flatMap((pair) => (pair.startsWith("via=") ? [decoded(pair.slice(4))] : []));
    const servers = serversIn(via);
    if (isRoomId(roomId) && servers.length > 0) told.push([roomId, servers]);
  }
  return told;
}

/** Returns the servers that a list names. */
export function serversIn(value: JsonValue | readonly string[] | undefined): ServerName[] {
  const names = Array.isArray(value) ? value.slice(0, 100) : [];
  return mergeVia(
    names.filter((name) => typeof name === "string").filter((name) => isServerName(name)),
    [],
  );
}

function entriesOf(body: Buffer, key: string): readonly JsonObject[] {
  return body.length > MOST_PARSED ? [] : objectsOf(parsedObject(body)[key]).slice(0, MOST_ROOMS);
}

function roomIdAt(entry: JsonObject, key: string): RoomId | null {
  const text = stringAt(entry, key);
  return text !== null && isRoomId(text) ? text : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
