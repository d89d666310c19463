import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";

/** Queries to the homeserver. Each call throws EmissaryError if the homeserver cannot be asked now. */
export interface HomeserverQueries {
  /** Returns the rooms that the pseudouser is in. */
  joinedRooms(abort: AbortSignal): Promise<readonly RoomId[]>;
  /** Returns the newest event of a room; null if the homeserver does not say. */
  newestEvent(roomId: RoomId, abort: AbortSignal): Promise<EventId | null>;
  /**
   * Returns a page of a room's timeline, the newest event first, from the end or from where an earlier page ended;
   * null if the homeserver does not show it.
   */
  timeline(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<TimelinePage | null>;
  /** Makes the homeserver call us, and so send queued transactions at once. Returns its error, if any. */
  ping(abort: AbortSignal): Promise<string | null>;
}

export interface TimelinePage {
  readonly events: readonly RoomEvent[];
  /** Where the next page begins; null at the room's beginning. */
  readonly end: string | null;
}

/** Up to where a room's timeline was found complete. */
export interface TimelinePoint {
  readonly roomId: RoomId;
  /** Null if it was never compared. */
  readonly upTo: EventId | null;
  /** The journal's newest number at that comparison, and now. */
  readonly seq: number;
  readonly last: number;
}

export interface TimelineStore {
  /** Returns the attended room whose comparison is oldest, if from before `before`. */
  toCompare(before: number): Promise<TimelinePoint | null>;
  /** Returns null if we are not in the room. */
  comparedUpTo(roomId: RoomId): Promise<TimelinePoint | null>;
  /** Notes up to where a room was compared, unless it was entered again since. */
  compared(roomId: RoomId, upTo: EventId | null, seq: number, now: number): Promise<void>;
}

/** The ledger's side of the comparison, and the repair of differences. */
export interface ReconcileStore extends TimelineStore {
  /** Returns the rooms that the pseudouser is in according to the ledger. */
  attended(): Promise<readonly RoomId[]>;
  /** Writes that we are not in this room, according to the homeserver, which gives no event that tells why. */
  setAbsent(roomId: RoomId, now: number): Promise<void>;
  /** Returns the attended rooms of the newest journal entries, the newest first, at most `limit`. */
  liveliest(limit: number): Promise<readonly RoomId[]>;
  /** Makes the loader compare a room last compared before `before`. Returns it, or null if there is none. */
  recheckOne(before: number, now: number): Promise<RoomId | null>;
}
