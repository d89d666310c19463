import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";

/** What the homeserver says when asked, beside what it sends. Each call throws EmissaryError where it cannot be asked now. */
export interface HomeserverQueries {
  /** The rooms that the pseudouser is in. */
  joinedRooms(abort: AbortSignal): Promise<readonly RoomId[]>;
  /** The newest event of a room; null where it does not say. */
  newestEvent(roomId: RoomId, abort: AbortSignal): Promise<EventId | null>;
  /**
   * A page of a room's timeline from its end, or from where an earlier page ended, the newest event first; null where the homeserver does
   * not show it.
   */
  timeline(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<TimelinePage | null>;
  /** Has the homeserver call us, which also makes it send at once what it held back. Its own error, or null where it got through. */
  ping(abort: AbortSignal): Promise<string | null>;
}

export interface TimelinePage {
  readonly events: readonly RoomEvent[];
  /** Where the next page begins; null at the room's beginning. */
  readonly end: string | null;
}

/** How far a room's timeline was found to have come whole. */
export interface TimelinePoint {
  readonly roomId: RoomId;
  /** Null where it was never compared. */
  readonly upTo: EventId | null;
  /** The journal's newest number when that was found, and now. */
  readonly seq: number;
  readonly last: number;
}

export interface TimelineStore {
  /** The attended room that was compared longest ago, if before `before`. */
  toCompare(before: number): Promise<TimelinePoint | null>;
  /** Null where we are not in the room. */
  comparedUpTo(roomId: RoomId): Promise<TimelinePoint | null>;
  /** Notes how far a room was compared, unless it was entered anew since. */
  compared(roomId: RoomId, upTo: EventId | null, seq: number, now: number): Promise<void>;
}

/** What the ledger says, for the comparison, and where differences are put right. */
export interface ReconcileStore extends TimelineStore {
  /** The rooms that the ledger has the pseudouser in. */
  attended(): Promise<readonly RoomId[]>;
  /** We are not in this room, says the homeserver, and gives no event that tells why. */
  setAbsent(roomId: RoomId, now: number): Promise<void>;
  /** Attended rooms that brought the newest entries of the journal, the newest first, at most `limit`. */
  liveliest(limit: number): Promise<readonly RoomId[]>;
  /** Has the loader compare a room anew whose newest comparison is older than `before`; the room, or null where there is none. */
  recheckOne(before: number, now: number): Promise<RoomId | null>;
}
