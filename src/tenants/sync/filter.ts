import { eventRule, nameRule } from "../../model/event-filter.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import { objectAt, type JsonObject } from "../../model/json.ts";
import { fieldsOf, type Shown } from "./fields.ts";

/**
 * What a filter (spec, CS API, "Filtering") makes of a sync. Of `presence`, `account_data` and `ephemeral` a tenant is told nothing,
 * so what it says of these holds in any case.
 */
export interface SyncFilter {
  /** False where it leaves out all rooms by an empty list: invites, too. */
  readonly hasRooms: boolean;
  readonly hasRoom: (roomId: RoomId) => boolean;
  readonly hasState: (event: RoomEvent) => boolean;
  readonly hasEvent: (event: RoomEvent) => boolean;
  /** Events of a room's timeline at most; null where it says nothing. */
  readonly limit: number | null;
  /** Memberships are told of those only who have an event in the timeline. */
  readonly isLazy: boolean;
  readonly includesLeft: boolean;
  /** An event as it is shown: by `event_fields`, some of it. */
  readonly shown: Shown;
}

/** More is not told in one answer in any case. */
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
