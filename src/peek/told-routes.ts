import { isRoomId, isServerName, type RoomId, type ServerName } from "../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject, type JsonValue } from "../model/json.ts";
import { mergeVia } from "../model/room.ts";

/** Larger answers are not parsed: that would delay everybody. */
const MOST_BYTES = 4 * 1024 * 1024;
const MOST_ROOMS = 500;

/** A room in an answer, and the servers that the answer says are in it. */
export type ToldRoute = readonly [roomId: RoomId, via: readonly ServerName[]];

/** Returns the rooms of a room directory. The server that lists a room is in it. */
export function routesOfDirectory(body: Buffer, server: ServerName): readonly ToldRoute[] {
  return entriesOf(body, "chunk").flatMap((entry) => {
    const roomId = roomIdAt(entry, "room_id");
    return roomId === null ? [] : [[roomId, [server]] as const];
  });
}

/** Returns the rooms of a space (`m.space.child` names servers in the child, spec, "Spaces"). */
export function routesOfSpace(body: Buffer): readonly ToldRoute[] {
  const told: ToldRoute[] = [];
  for (const room of entriesOf(body, "rooms")) {
    for (const child of objectsIn(room["children_state"])) {
      const roomId = roomIdAt(child, "state_key");
      const content = child["content"] ?? null;
      const via = isJsonObject(content) ? serversIn(content["via"]) : [];
      if (roomId !== null && via.length > 0) told.push([roomId, via]);
      if (told.length === MOST_ROOMS) return told;
    }
  }
  return told;
}

function entriesOf(body: Buffer, key: string): readonly JsonObject[] {
  return body.length > MOST_BYTES ? [] : objectsIn(parsedObject(body)[key]).slice(0, MOST_ROOMS);
}

function objectsIn(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter((entry) => isJsonObject(entry)) : [];
}

function roomIdAt(entry: JsonObject, key: string): RoomId | null {
  const text = stringAt(entry, key);
  return text !== null && isRoomId(text) ? text : null;
}

function serversIn(value: JsonValue | undefined): readonly ServerName[] {
  if (!Array.isArray(value)) return [];
  const names = value.slice(0, 100).filter((name) => typeof name === "string");
  return mergeVia(
    names.filter((name) => isServerName(name)),
    [],
  );
}
