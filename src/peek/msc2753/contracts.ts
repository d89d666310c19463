import type { Link } from "../../model/event-links.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
import type { JsonObject } from "../../model/json.ts";

/** A room that a device peeks into. */
export interface DevicePeek {
  readonly roomId: RoomId;
  /** Another number for another peek, and after the pseudouser was out of the room in between. */
  readonly change: number;
  /** Whether the pseudouser is in the room. */
  readonly present: boolean;
}

/** Devices by the names of their leases, and what they peek into. Nobody's name or token stands there, only hashes. */
export interface PeekStore {
  /** Whose token this is, by its hash; null where no device that peeks has shown it. */
  deviceOf(tokenHash: string): Promise<string | null>;
  /** A device that peeks shows itself with this token. Those that peek no more are forgotten, and all but its newest few tokens. */
  remember(device: string, tokenHash: string): Promise<void>;
  peeksOf(device: string): Promise<readonly DevicePeek[]>;
  /** Changes with every peek that begins or ends, and when the pseudouser comes into a room. */
  newest(): Promise<number>;
  /** How many rooms the user looks into whose this holder is, or whose device, in whatever way. */
  countOf(holder: Holder): Promise<number>;
  /** Rooms in which this holder has a lease, the one that it has read least lately first. */
  longestUnread(holder: string, limit: number): Promise<readonly RoomId[]>;
}

/** A room as the homeserver shows it to a user at first. */
export interface RoomBeginning {
  readonly membership: string | null;
  /** Empty where it comes with the rest. */
  readonly state: readonly JsonObject[];
  /** Oldest first. */
  readonly events: readonly JsonObject[];
  /** Where the events begin, for reading backwards; null where the homeserver does not say. */
  readonly start: string | null;
  readonly end: string;
  readonly accountData: readonly JsonObject[];
  /** Of a large room: what the homeserver has not been asked to send yet. It is read once, or dropped, and ends with the request. */
  readonly rest: RoomRest | null;
}

/** What is large of a large room, as it comes. */
export interface RoomRest {
  /**
   * The state, part by part. @throws EmissaryError where the homeserver breaks off, or where it is too large
   * @param isKept whether all of it is in memory at the end
   */
  state(isKept?: boolean): AsyncIterable<readonly JsonObject[]>;
  /** What the homeserver tells after the state: known when that was read to its end. */
  after(): { readonly membership: string | null; readonly accountData: readonly JsonObject[] };
  drop(): void;
}

/**
 * What came after a position, oldest first: the room's events, and the user's account data. Others' rooms may be among it. Events say what
 * they hang on (`prev_events`) where the homeserver gives them whole, as other servers have them.
 */
export interface EventsPage {
  readonly chunk: readonly JsonObject[];
  readonly start: string;
  readonly end: string;
}

/**
 * Rooms as the homeserver shows them to a user who asks with their own token, so that its rules of who may see what hold.
 * @throws EmissaryError where the homeserver gives no such answer now
 */
export interface PeekedRooms {
  /** `gone` where the user may not look into the room. @throws EmissaryError `refused-by-policy` where its state is too large to be told */
  beginning(token: string, roomId: RoomId, limit: number, abort: AbortSignal): Promise<RoomBeginning | "gone">;
  /** `lost` where the homeserver does not know the position. */
  events(token: string, roomId: RoomId, from: PagePosition, abort: AbortSignal): Promise<EventsPage | "gone" | "lost">;
  /** Null for none that the user may see. */
  membership(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<string | null>;
  /** The event that a membership is of; null for none that the user may see. */
  member(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<JsonObject | null>;
  /** A filter that the user has stored; null where there is none of this ID. */
  filter(token: string, userId: UserId, filterId: string): Promise<JsonObject | null>;
}

export interface PagePosition {
  readonly from: string;
  readonly limit: number;
}

/** Newest first. */
export interface LinksPage {
  readonly links: readonly Link[];
  /** The position right before the last of them; null where there is nothing before. */
  readonly end: string | null;
}

/**
 * How a room's events hang together, asked as the pseudouser, who is shown all of them: only so can it be told what the homeserver lacks
 * from what it does not show somebody. Nothing of this is handed to anybody but positions.
 * @throws EmissaryError where the homeserver gives no such answer now
 */
export interface RoomLinks {
  /** What lies before a position, down to another; without that the homeserver fetches what it lacks there, if it can in time. Null where it does not say how events hang together. */
  before(
    roomId: RoomId,
    span: { readonly from: string; readonly to?: string; readonly limit: number },
    abort: AbortSignal,
  ): Promise<LinksPage | null>;
  has(roomId: RoomId, eventId: string, abort: AbortSignal): Promise<boolean>;
}
