import type { RoomId, UserId } from "../../model/ids.ts";
import type { EventsPage, PagePosition } from "../msc2753/contracts.ts";

/** New events of a room, as the homeserver shows them to a user without a membership. */
export interface StrangersPage extends EventsPage {
  /** Size of the homeserver's answer. */
  readonly bytes: number;
}

/** Rooms as shown to the reader: a local user in no room, who sees what anybody who never was there sees. */
export interface ReaderRooms {
  readonly reader: UserId;
  /**
   * Returns the events after a position; null if the reader is shown nothing, which may concern it alone.
   * @param wait how long the homeserver may wait for events, in milliseconds
   * @throws EmissaryError if it does not answer properly now
   */
  events(roomId: RoomId, from: PagePosition, wait: number, abort: AbortSignal): Promise<StrangersPage | null>;
}

/** What the homeserver says about a user now. Requests use the user's own token. */
export interface Askers {
  /** Returns whom the user ignores; null if the homeserver rejects the token, which must then get nothing. */
  ignoredBy(token: string, userId: UserId, abort: AbortSignal): Promise<ReadonlySet<string> | null>;
}
