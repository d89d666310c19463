import { eventRule, nameRule } from "../../model/event-filter.ts";
import type { RoomId } from "../../model/ids.ts";
import { objectAt, type JsonObject } from "../../model/json.ts";

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
  const hasRoom = nameRule(room, "rooms");
  return {
    limit: typeof limit === "number" && limit >= 1 ? Math.min(Math.floor(limit), MAX_LIMIT) : LIMIT,
    hasRoom: (roomId) => hasRoom(roomId),
    hasState: eventRule(objectAt(room, "state")),
    hasEvent: eventRule(timeline),
  };
}
