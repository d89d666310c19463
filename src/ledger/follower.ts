import type { EventId, RoomId, ServerName, UserId } from "../model/ids.ts";
import type { Membership } from "../model/membership.ts";
import type { RoomField } from "./fold.ts";

/** A room of the ledger, and the number that stands for it in storage. */
export interface NumberedRoom {
  readonly nr: number;
  readonly roomId: RoomId;
}

/** How the pseudouser's membership of a room changed. */
export interface OwnChange {
  readonly was: Membership | null;
  readonly membership: Membership;
  /** The event that says so and its sender; null where the homeserver gives none. */
  readonly eventId: EventId | null;
  readonly sender: UserId | null;
  readonly ends: "kicked" | "banned" | null;
  readonly reason: string | null;
  /** The room that an inviter says this one replaces. */
  readonly claims: RoomId | null;
}

/** When something was learnt, and after which number of the journal. */
export interface Moment {
  readonly seq: number;
  readonly now: number;
}

/**
 * What another capability does about facts, in the commit that writes them: the ledger calls it inside its transaction, and what it
 * throws undoes the fact. It is told the same whether events brought a fact, a load found it, or the homeserver was asked for it.
 */
export interface LedgerFollower {
  /** The pseudouser's own membership changed. */
  own?(room: NumberedRoom, change: OwnChange, moment: Moment): void;
  /** A field of a room's state has another value. */
  state?(room: NumberedRoom, field: RoomField, now: number): void;
  /** Somebody else came to a room, or went. */
  people?(room: NumberedRoom, now: number): void;
  /** A room says that another replaces it. The servers are routes to that one. */
  replaced?(room: NumberedRoom, replacement: RoomId, via: readonly ServerName[], now: number): void;
  /** A load ended. `isNew` is true where the room was never loaded before, or was otherwise. */
  loaded?(room: NumberedRoom, isNew: boolean, now: number): void;
}
