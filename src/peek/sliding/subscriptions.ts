import { isRoomId, type RoomId } from "../../model/ids.ts";
import { isJsonObject, objectAt, type JsonObject, type JsonValue } from "../../model/json.ts";

/** What a client wants of a room that it names (MSC4186). */
export interface Subscription {
  readonly limit: number;
  /** Types and state keys; `*` stands for all. */
  readonly state: readonly (readonly [type: string, key: string])[];
}

export type Subscriptions = ReadonlyMap<RoomId, Subscription>;

export const MAX_SUBSCRIPTIONS = 20;
const MAX_LIMIT = 100;
const MAX_STATE = 100;
const MAX_KEY = 255;

/** Returns the subscribed rooms. Rooms beyond the bound are left to the homeserver. */
export function subscriptionsOf(body: JsonObject): Subscriptions {
  const found = new Map<RoomId, Subscription>();
  for (const [roomId, wanted] of Object.entries(objectAt(body, "room_subscriptions"))) {
    if (found.size === MAX_SUBSCRIPTIONS) break;
    if (isRoomId(roomId) && isJsonObject(wanted)) found.set(roomId, subscriptionOf(wanted));
  }
  return found;
}

/** Returns the rooms that an older client unsubscribes from. */
export function unsubscribedOf(body: JsonObject): ReadonlySet<string> {
  const rooms = body["unsubscribe_rooms"];
  return new Set(Array.isArray(rooms) ? rooms.filter((roomId) => typeof roomId === "string") : []);
}

function subscriptionOf(wanted: JsonObject): Subscription {
  const limit = wanted["timeline_limit"];
  const state = Array.isArray(wanted["required_state"]) ? wanted["required_state"] : [];
  return {
    limit: typeof limit === "number" && limit >= 1 ? Math.min(Math.floor(limit), MAX_LIMIT) : 1,
    state: state.slice(0, MAX_STATE).flatMap((entry) => pairOf(entry)),
  };
}

function pairOf(entry: JsonValue): (readonly [string, string])[] {
  if (!Array.isArray(entry)) return [];
  const [type, key] = entry;
  if (typeof type !== "string" || typeof key !== "string") return [];
  return type.length > MAX_KEY || key.length > MAX_KEY ? [] : [[type, key]];
}

/** Packs subscriptions into a token. Rooms with equal subscriptions share one copy. */
export function packed(subscriptions: Subscriptions): JsonValue {
  const kinds = [...new Set([...subscriptions.values()].map((subscription) => JSON.stringify(subscription)))];
  return {
    kinds: kinds.map((kind) => JSON.parse(kind) as JsonValue),
    rooms: [...subscriptions].map(([roomId, kind]) => [roomId, kinds.indexOf(JSON.stringify(kind))]),
  };
}

/** Returns an empty map for anything that `packed` did not write. */
export function unpacked(value: JsonValue | undefined): Subscriptions {
  const { kinds, rooms } = isJsonObject(value) ? value : {};
  const found = new Map<RoomId, Subscription>();
  if (!Array.isArray(kinds) || !Array.isArray(rooms)) return found;
  for (const entry of rooms.slice(0, MAX_SUBSCRIPTIONS)) {
    const [roomId, at] = Array.isArray(entry) ? entry : [];
    const kind = typeof at === "number" ? kinds[at] : undefined;
    if (typeof roomId !== "string" || !isRoomId(roomId) || !isJsonObject(kind)) continue;
    found.set(roomId, subscriptionOf({ timeline_limit: kind["limit"] ?? 1, required_state: kind["state"] ?? [] }));
  }
  return found;
}
