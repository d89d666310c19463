import { deflateRawSync, inflateRawSync } from "node:zlib";
import { EmissaryError } from "../../model/errors.ts";
import { eventRule, nameRule } from "../../model/event-filter.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import { isJsonObject, MAX_NESTING, objectAt, shallow, type JsonObject, type JsonValue } from "../../model/json.ts";

/** A filter (spec, CS API, "Filtering"), without `presence`, `account_data`, `ephemeral`: tenants get none. */
export interface SyncFilter {
  /** False if an empty list excludes all rooms, including invites. */
  readonly hasRooms: boolean;
  readonly hasRoom: (roomId: RoomId) => boolean;
  readonly hasState: (event: RoomEvent) => boolean;
  readonly hasEvent: (event: RoomEvent) => boolean;
  readonly limit: number | null;
  /** Whether only members with events in the timeline are included. */
  readonly isLazy: boolean;
  readonly includesLeft: boolean;
  readonly shown: (event: JsonObject) => JsonObject;
}

/** The most events of a room in one answer. */
const MAX_LIMIT = 500;
const MAX_FIELDS = 100;
const MAX_DEPTH = 20;
/** An ID must fit into a request line, beside a token and the rest. */
const MAX_ID = 6_000;
const MAX_JSON = 64 * 1024;

export function syncFilter(filter: JsonObject): SyncFilter {
  const room = objectAt(filter, "room");
  const [timeline, state] = [objectAt(room, "timeline"), objectAt(room, "state")];
  const hasState = eventRule(state);
  const hasEvent = eventRule(timeline);
  const { limit } = timeline;
  return {
    hasRooms: !(Array.isArray(room["rooms"]) && room["rooms"].length === 0),
    hasRoom: nameRule(room, "rooms"),
    hasState: (event) => hasState(event as unknown as JsonObject),
    hasEvent: (event) => hasEvent(event as unknown as JsonObject),
    limit: typeof limit === "number" && limit >= 0 ? Math.min(Math.floor(limit), MAX_LIMIT) : null,
    isLazy: state["lazy_load_members"] === true,
    includesLeft: room["include_leave"] === true,
    shown: fieldsOf(filter["event_fields"]),
  };
}

export const NO_FILTER = syncFilter({});

/** Parses a filter's `event_fields`. Dots separate nested keys (`content.body`); a backslash escapes a dot. */
function fieldsOf(wanted: JsonValue | undefined): SyncFilter["shown"] {
  if (!Array.isArray(wanted)) return (event) => event;
  const texts = wanted.filter((field) => typeof field === "string").slice(0, MAX_FIELDS);
  const paths = texts.map(pathOf).filter((path) => path.length <= MAX_DEPTH);
  return (event) => {
    const kept: JsonObject = {};
    for (const path of paths) copy(path, event, kept);
    return kept;
  };
}

function pathOf(field: string): readonly string[] {
  const path = [""];
  for (const [text, escaped] of field.matchAll(/\\([.\\])|[^]/gu)) {
    if (text === ".") path.push("");
    else path.push(`${path.pop() ?? ""}${escaped ?? text}`);
  }
  return path;
}

function copy(path: readonly string[], from: JsonObject, to: JsonObject): void {
  const [key = "", ...rest] = path;
  if (!Object.hasOwn(from, key)) return;
  const value = from[key] ?? null;
  if (rest.length === 0) {
    define(to, key, value);
    return;
  }
  if (!isJsonObject(value)) return;
  const held = Object.hasOwn(to, key) ? to[key] : undefined;
  // The whole value has the nested field already.
  if (held === value) return;
  const inner = isJsonObject(held) ? held : {};
  copy(rest, value, inner);
  if (Object.keys(inner).length > 0) define(to, key, inner);
}

/** Not by assignment: `__proto__` may be an ordinary key. */
function define(object: JsonObject, key: string, value: JsonValue): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/**
 * Encodes a filter as its own ID, valid after a restart and a restore and at every listener: nothing is stored.
 * @throws EmissaryError `too-large` if the filter is too long for an ID
 */
export function filterIdOf(filter: JsonObject): string {
  const id = `f${deflateRawSync(JSON.stringify(filter)).toString("base64url")}`;
  if (id.length <= MAX_ID) return id;
  throw new EmissaryError("too-large", "The filter is too large to be kept: name fewer rooms, types or senders in it.");
}

/** Returns the filter of an ID; null if the ID is not ours. */
export function filterIn(id: string): JsonObject | null {
  const packed = /^f([\w-]+)$/.exec(id)?.[1];
  if (packed === undefined || id.length > MAX_ID) return null;
  try {
    const text = inflateRawSync(Buffer.from(packed, "base64url"), { maxOutputLength: MAX_JSON }).toString("utf8");
    const filter: unknown = JSON.parse(text);
    return isJsonObject(filter) ? shallow(filter, MAX_NESTING) : null;
  } catch {
    return null;
  }
}
