import { objectAt, stringAt, type JsonObject, type JsonValue } from "./json.ts";

/** Returns a test of events by a RoomEventFilter (spec, CS API, "Filtering"). What it omits is allowed. */
export function eventRule(filter: JsonObject): (event: JsonObject) => boolean {
  const hasType = nameRule(filter, "types");
  const hasSender = nameRule(filter, "senders");
  const hasRoom = nameRule(filter, "rooms");
  const url = filter["contains_url"];
  return (event) =>
    hasType(stringAt(event, "type") ?? "") &&
    hasSender(stringAt(event, "sender") ?? "") &&
    hasRoom(stringAt(event, "room_id") ?? "") &&
    (typeof url !== "boolean" || (stringAt(objectAt(event, "content"), "url") !== null) === url);
}

/** Returns a test of names by a filter's wanted (absent: all) and unwanted ones. In types `*` is a wildcard. */
export function nameRule(filter: JsonObject, key: "types" | "senders" | "rooms"): (name: string) => boolean {
  const test = key === "types" ? matchesType : (pattern: string, name: string) => pattern === name;
  const wanted = namesAt(filter, key);
  const unwanted = namesAt(filter, `not_${key}`) ?? [];
  return (name) =>
    (wanted === null || wanted.some((pattern) => test(pattern, name))) &&
    !unwanted.some((pattern) => test(pattern, name));
}

/** Matches in steps, not by a regular expression: strangers write the patterns. */
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
