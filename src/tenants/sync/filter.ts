import { eventRule, nameRule } from "../../model/event-filter.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import { objectAt, type JsonObject } from "../../model/json.ts";
import { fieldsOf, type Shown } from "./fields.ts";

/** A filter (spec, CS API, "Filtering"), without `presence`, `account_data`, `ephemeral`: tenants get none. */
export interface SyncFilter {
  /** False if an empty list excludes all rooms, including invites. */
  readonly hasRooms: boolean;
  readonly hasRoom: (roomId: RoomId) => boolean;
  readonly hasState: (event: RoomEvent) => boolean;
  readonly hasEvent: (event: RoomEvent) => boolean;
  /** Maximum events of a room's timeline; null if not given. */
  readonly limit: number | null;
  /** Whether only members with events in the timeline are included. */
  readonly isLazy: boolean;
  readonly includesLeft: boolean;
  /** Cuts an event to its `event_fields`. */
  readonly shown: Shown;
}

/** The most events of a room in one answer. */
const MAX_LIMIT = 500;

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
