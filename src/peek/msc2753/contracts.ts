import type { Link } from "../../model/event-links.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
import type { JsonObject } from "../../model/json.ts";

export interface DevicePeek {
  readonly roomId: RoomId;
  /** Differs for each peek, and after the pseudouser was out of the room in between. */
  readonly change: number;
  /** Whether the pseudouser is in the room. */
  readonly present: boolean;
}

/** Devices and their peeks, by the names of their leases. Holds hashes only, no user's name and no token. */
export interface PeekStore {
  /** Returns the device by its token's hash; null if no peeking device has used the token. */
  deviceOf(tokenHash: string): Promise<string | null>;
  /** Stores a peeking device's token. Forgets devices without peeks, and all but the device's newest few tokens. */
  remember(device: string, tokenHash: string): Promise<void>;
  peeksOf(device: string): Promise<readonly DevicePeek[]>;
  /** Returns a number that changes when a peek begins or ends, or when the pseudouser enters a room. */
  newest(): Promise<number>;
  /** Returns how many rooms the holder's user looks into, on all devices and in every way. */
  countOf(holder: Holder): Promise<number>;
  /** Returns the rooms in which the holder has a lease, the least recently read first. */
  longestUnread(holder: string, limit: number): Promise<readonly RoomId[]>;
}

/** A room as the homeserver first shows it to a user. */
export interface RoomBeginning {
  readonly membership: string | null;
  /** Empty if it is in `rest`. */
  readonly state: readonly JsonObject[];
  /** Oldest first. */
  readonly events: readonly JsonObject[];
  /** Where the events begin, for reading backwards; null if the homeserver does not say. */
  readonly start: string | null;
  readonly end: string;
  readonly accountData: readonly JsonObject[];
  /** The part of a large room that the homeserver has not sent yet. Read once or dropped; ends with the request. */
  readonly rest: RoomRest | null;
}

/** The large part of a large room, as a stream. */
export interface RoomRest {
  /** Streams the state; with `isKept`, all of it stays in memory. @throws EmissaryError if broken off or too large */
  state(isKept?: boolean): AsyncIterable<readonly JsonObject[]>;
  /** Returns what the homeserver sends after the state, which must be read to its end first. */
  after(): { readonly membership: string | null; readonly accountData: readonly JsonObject[] };
  drop(): void;
}

/**
 * Events after a position, oldest first: the room's, the user's account data, maybe other rooms'. In federation
 * format they have `prev_events`.
 */
export interface EventsPage {
  readonly chunk: readonly JsonObject[];
  readonly start: string;
  readonly end: string;
}

/**
 * Rooms as the homeserver shows them to a user: it is asked with the user's token, so its access rules hold. Methods
 * throw EmissaryError if it gives no such answer now.
 */
export interface PeekedRooms {
  /** `gone` if the user may not look in. @throws EmissaryError `refused-by-policy` if the state is too large */
  beginning(token: string, roomId: RoomId, limit: number, abort: AbortSignal): Promise<RoomBeginning | "gone">;
  /** Returns `lost` if the homeserver does not know the position. */
  events(token: string, roomId: RoomId, from: PagePosition, abort: AbortSignal): Promise<EventsPage | "gone" | "lost">;
  /** Null if the user can see none. */
  membership(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<string | null>;
  /** Returns the membership's event; null if the user can see none. */
  member(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<JsonObject | null>;
  /** Returns a stored filter of the user; null if the ID is unknown. */
  filter(token: string, userId: UserId, filterId: string): Promise<JsonObject | null>;
}

export interface PagePosition {
  readonly from: string;
  readonly limit: number;
}

/** Newest first. */
export interface LinksPage {
  readonly links: readonly Link[];
  /** The position right before the last of them; null if there is nothing before. */
  readonly end: string | null;
}

/**
 * How a room's events are linked. Asks as the pseudouser, who sees all of them: this tells events that the homeserver
 * lacks from those that it hides from a user. Users get only positions from this. Methods throw EmissaryError if the
 * homeserver gives no such answer now.
 */
export interface RoomLinks {
  /**
   * Returns the events before a position, down to `to`; null if the homeserver does not say their links. Without
   * `to`, the homeserver fetches missing events if it can in time.
   */
  before(
    roomId: RoomId,
    span: { readonly from: string; readonly to?: string; readonly limit: number },
    abort: AbortSignal,
  ): Promise<LinksPage | null>;
  has(roomId: RoomId, eventId: string, abort: AbortSignal): Promise<boolean>;
}
