import { isEventId, isRoomId, isUserId, type EventId, type RoomId, type UserId } from "./ids.ts";
import { isJsonObject, type JsonObject } from "./json.ts";

/** A room event in the client format (spec, client-server API, "Room event format"). */
export interface RoomEvent {
  readonly event_id: EventId;
  readonly room_id: RoomId;
  readonly type: string;
  readonly sender: UserId;
  readonly origin_server_ts: number;
  readonly content: JsonObject;
  readonly state_key?: string;
  readonly unsigned?: JsonObject;
  readonly redacts?: string;
}

export type StateEvent = RoomEvent & { readonly state_key: string };

export function isStateEvent(event: RoomEvent): event is StateEvent {
  return event.state_key !== undefined;
}

/** Returns what is wrong with a supposed room event, or null. */
export function eventFault(value: unknown): string | null {
  if (!isJsonObject(value)) return "not an object";
  if (typeof value["event_id"] !== "string" || !isEventId(value["event_id"])) return "event_id is missing or malformed";
  if (typeof value["room_id"] !== "string" || !isRoomId(value["room_id"])) return "room_id is missing or malformed";
  if (typeof value["sender"] !== "string" || !isUserId(value["sender"])) return "sender is missing or malformed";
  if (typeof value["type"] !== "string" || value["type"] === "") return "type is missing or not a string";
  if (!Number.isFinite(value["origin_server_ts"])) return "origin_server_ts is missing or not a number";
  if (!isJsonObject(value["content"])) return "content is missing or not an object";
  if (value["state_key"] !== undefined && typeof value["state_key"] !== "string") return "state_key is not a string";
  if (value["unsigned"] !== undefined && !isJsonObject(value["unsigned"])) return "unsigned is not an object";
  return null;
}

/** Returns whether a value is a room event. Without a schema: every event of every transaction passes here. */
export function isRoomEvent(value: unknown): value is RoomEvent {
  return eventFault(value) === null;
}
