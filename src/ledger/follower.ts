import type { EventId, RoomId, ServerName, UserId } from "../model/ids.ts";
import type { Membership } from "../model/membership.ts";
import type { RoomField } from "./fold.ts";

/** A room of the ledger and its number in storage. */
export interface NumberedRoom {
  readonly nr: number;
  readonly roomId: RoomId;
}

/** A change of the pseudouser's membership of a room. */
export interface OwnChange {
  readonly was: Membership | null;
  readonly membership: Membership;
  /** The event of the change and its sender; null if the homeserver gives none. */
  readonly eventId: EventId | null;
  readonly sender: UserId | null;
  readonly ends: "kicked" | "banned" | null;
  readonly reason: string | null;
  /** The room that, according to the inviter, this one replaces. */
  readonly claims: RoomId | null;
}

/** When a fact was learnt, and after which number of the journal. */
export interface Moment {
  readonly seq: number;
  readonly now: number;
}

/**
 * The consequences of facts for another capability, whether a fact came from an event, a load or a query. The ledger
 * calls it inside its transaction: if it throws, the fact is rolled back.
 */
export interface LedgerFollower {
  /** The pseudouser's own membership changed. */
  own?(room: NumberedRoom, change: OwnChange, moment: Moment): void;
  /** A field of a room's state changed. */
  state?(room: NumberedRoom, field: RoomField, now: number): void;
  /** Another user joined or left a room. */
  people?(room: NumberedRoom, now: number): void;
  /** A room names another that replaces it. The servers are routes to the replacement. */
  replaced?(room: NumberedRoom, replacement: RoomId, via: readonly ServerName[], now: number): void;
  /** A load ended. `isNew` is true if the room was never loaded before, or differed from the ledger. */
  loaded?(room: NumberedRoom, isNew: boolean, now: number): void;
}
