import { eventRule, nameRule } from "../../model/event-filter.ts";
import type { RoomId } from "../../model/ids.ts";
import { objectAt, type JsonObject } from "../../model/json.ts";

/** The part of a client's filter (spec, CS API, "Filtering") that applies to peeked rooms. */
export interface PeekFilter {
  readonly limit: number;
  readonly hasRoom: (roomId: RoomId) => boolean;
  readonly hasState: (event: JsonObject) => boolean;
  readonly hasEvent: (event: JsonObject) => boolean;
}

/** Default and maximum of timeline events. */
const LIMIT = 20;
const MAX_LIMIT = 100;

/**
 * Ignores lazy loading of members: users who speak after the first answer would stay unknown, because the homeserver
 * does not say whose memberships a peeking client has.
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
