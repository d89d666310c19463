import type { EventId, RoomId } from "../model/ids.ts";

/** What the homeserver says when asked, beside what it sends. Each call throws EmissaryError where it cannot be asked now. */
export interface HomeserverWord {
  /** The rooms that the pseudouser is in. */
  joinedRooms(abort: AbortSignal): Promise<readonly RoomId[]>;
  /** The newest event of a room; null where it does not say. */
  newestEvent(roomId: RoomId, abort: AbortSignal): Promise<EventId | null>;
  /** Has the homeserver call us, which also makes it send at once what it held back. Its own error, or null where it got through. */
  ping(abort: AbortSignal): Promise<string | null>;
}

/** What the ledger says, for the comparison, and where differences are put right. */
export interface ReconcileStore {
  /** The rooms that the ledger has the pseudouser in. */
  attended(): Promise<readonly RoomId[]>;
  /** We are not in this room, says the homeserver, and gives no event that tells why. */
  setAbsent(roomId: RoomId, now: number): Promise<void>;
  /** Attended rooms that brought the newest entries of the journal, the newest first, at most `limit`. */
  liveliest(limit: number): Promise<readonly RoomId[]>;
  /** Has the loader compare a room anew whose newest comparison is older than `before`; the room, or null where there is none. */
  recheckOne(before: number, now: number): Promise<RoomId | null>;
}
