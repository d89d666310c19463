import type { RoomId } from "../../../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../../model/json.ts";

/** What of a client's filter (spec, CS API, "Filtering") is applied to the rooms that it peeks into. */
export interface PeekFilter {
  readonly limit: number;
  readonly hasRoom: (roomId: RoomId) => boolean;
  readonly hasState: (event: JsonObject) => boolean;
  readonly hasEvent: (event: JsonObject) => boolean;
}

/** Events of a timeline where the filter says nothing, and at most. */
const LIMIT = 20;
const MAX_LIMIT = 100;

/**
 * Lazy loading of members is not applied: who spoke after the first answer would stay unknown, since the homeserver does not say of
 * whom a peeking client was told.
 */
export function peekFilter(filter: JsonObject): PeekFilter {
  const room = objectAt(filter, "room");
  const timeline = objectAt(room, "timeline");
  const limit = timeline["limit"];
  const hasRoom = allows(room, "rooms");
  return {
    limit: typeof limit === "number" && limit >= 1 ? Math.min(Math.floor(limit), MAX_LIMIT) : LIMIT,
    hasRoom: (roomId) => hasRoom(roomId),
    hasState: eventRule(objectAt(room, "state")),
    hasEvent: eventRule(timeline),
  };
}

function eventRule(filter: JsonObject): (event: JsonObject) => boolean {
  const hasType = allows(filter, "types");
  const hasSender = allows(filter, "senders");
  const hasRoom = allows(filter, "rooms");
  return (event) =>
    hasType(stringAt(event, "type") ?? "") &&
    hasSender(stringAt(event, "sender") ?? "") &&
    hasRoom(stringAt(event, "room_id") ?? "");
}

/** A list of what is wanted, absent for all, and one of what is not. In types a `*` stands for any characters. */
function allows(filter: JsonObject, key: "types" | "senders" | "rooms"): (name: string) => boolean {
  const test = key === "types" ? matchesType : (pattern: string, name: string) => pattern === name;
  const wanted = namesAt(filter, key);
  const unwanted = namesAt(filter, `not_${key}`) ?? [];
  return (name) =>
    (wanted === null || wanted.some((pattern) => test(pattern, name))) &&
    !unwanted.some((pattern) => test(pattern, name));
}

/** In steps and not by an expression: the patterns are strangers'. */
function matchesType(pattern: string, type: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return pattern === type;
  if (!type.startsWith(head)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = type.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return type.length - tail.length >= at && type.endsWith(tail);
}

function namesAt(filter: JsonObject, key: string): readonly string[] | null {
  const names: JsonValue | undefined = filter[key];
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : null;
}

function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}
