import type { RoomId, UserId } from "../../model/ids.ts";
import type { EventsPage, PagePosition } from "../msc2753/contracts.ts";

/** What came in a room, as the homeserver shows it to a stranger. */
export interface StrangersPage extends EventsPage {
  /** What the answer took. */
  readonly bytes: number;
}

/**
 * Rooms as the homeserver shows them to the reader: a user of our own that is in no room, so that what it is shown anybody who never was
 * in the room is shown.
 */
export interface ReaderRooms {
  readonly reader: UserId;
  /**
   * What came after a position. Null where the homeserver shows the reader nothing, whatever its reason: it may be the reader's alone.
   * @param wait milliseconds that the homeserver may wait for something
   * @throws EmissaryError where it gives no such answer now
   */
  events(roomId: RoomId, from: PagePosition, wait: number, abort: AbortSignal): Promise<StrangersPage | null>;
}

/** What the homeserver says of a user, asked with the user's own token at that moment. */
export interface Askers {
  /** Whom the user ignores; null where the homeserver does not answer this token, so that nothing may be told to it. */
  ignoredBy(token: string, userId: UserId, abort: AbortSignal): Promise<ReadonlySet<string> | null>;
}
