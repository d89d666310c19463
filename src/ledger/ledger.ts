import type { EventId, RoomId, ServerName, UserId } from "../model/ids.ts";
import type { Member, Membership } from "../model/membership.ts";
import type { Room } from "../model/room.ts";
import type { LedgerChange } from "./fold.ts";

/** Reads the facts about rooms and members. An unknown room or member is null, not an error. */
export interface Ledger {
  room(roomId: RoomId): Promise<Room | null>;
  member(roomId: RoomId, userId: UserId): Promise<Member | null>;
  /**
   * Returns whether a user of this server, other than a pseudouser, is known to have joined the room or to be invited.
   */
  hasMemberOf(roomId: RoomId, server: ServerName): Promise<boolean>;
  /** Returns members in the order of their IDs, those after `after`, at most `limit`. */
  members(roomId: RoomId, page: MemberPage): Promise<readonly Member[]>;
}

export interface MemberPage {
  readonly membership: Membership | null;
  readonly after: UserId | null;
  readonly limit: number;
}

/**
 * An entry of a transaction that is no room event. It is set aside for the operator and does not delay its neighbours.
 */
export interface SetAside {
  readonly fault: string;
  /** The entry's JSON, cut to a bound. */
  readonly json: string;
}

/** All changes of one transaction of the homeserver, written in one commit or not at all. */
export interface TransactionRecord {
  readonly txnId: string;
  /** Digest of the body as received. A repeated transaction has the same digest. */
  readonly digest: string;
  readonly receivedAt: number;
  /** A JSON object whose `events` are exactly the new events, in order. */
  readonly body: Uint8Array;
  readonly eventIds: readonly EventId[];
  readonly changes: readonly LedgerChange[];
  readonly setAside: readonly SetAside[];
  /** A room to load again from the homeserver. */
  readonly reload?: RoomId;
}

export interface Recorded {
  /** The journal number of the first event. */
  readonly firstSeq: number;
  /** Rooms with a gap: an event was missed, or the room forked. They will be loaded again. */
  readonly gaps: readonly RoomId[];
}

/** Writes facts. Only the recorder and the loader hold one. */
export interface LedgerWriter {
  record(transaction: TransactionRecord): Promise<Recorded>;
  /** Returns the number of the newest event in the journal; 0 if there is none. */
  lastSeq(): Promise<number>;
  /**
   * Writes the homeserver's answer to a query. It gets no place in the journal.
   * @param asOf the newest event recorded at the time of the query; values set by later events stay
   */
  observe(changes: readonly LedgerChange[], asOf: number, now: number): Promise<void>;
  /** Returns the event IDs of the newest journal entries, oldest first. They seed the duplicate detection. */
  recentEventIds(limit: number): Promise<readonly EventId[]>;
  /** Returns the newest transactions that brought something, oldest first. */
  recentTransactions(limit: number): Promise<readonly { readonly txnId: string; readonly digest: string }[]>;
}

/**
 * Fetches a room's state and members from the homeserver while its events keep arriving. Values from events that came
 * after the load began are newer than the fetched state, and stay.
 */
export interface RoomLoads {
  /** Returns due rooms to load or to drop, at most `limit`. */
  due(now: number, limit: number): Promise<readonly { readonly roomId: RoomId; readonly drop: boolean }[]>;
  /** Returns when the next one is due; null if there is none. */
  nextDue(): Promise<number | null>;
  begin(roomId: RoomId): Promise<LoadTicket>;
  /** Writes a part of the fetched state in one commit. Returns the number of rows that differed or were missing. */
  part(ticket: LoadTicket, changes: readonly LedgerChange[], now: number): Promise<number>;
  /**
   * Removes rows that the fetched state does not have. Marks the room as loaded if we are still in it and no gap was
   * found meanwhile. Returns the number of rows removed.
   */
  finish(ticket: LoadTicket, now: number): Promise<number>;
  /** Postpones a failed load. */
  postpone(roomId: RoomId, at: number): Promise<void>;
  /**
   * Drops up to `limit` members of a room that we left; our own row stays. Returns true when nothing is left to drop.
   */
  drop(roomId: RoomId, limit: number): Promise<boolean>;
}

export interface LoadTicket {
  readonly roomId: RoomId;
  readonly generation: number;
  /** The newest journal number when the load began. */
  readonly fromSeq: number;
  /** How often the load had been requested. A higher number at the end means that a gap was found meanwhile. */
  readonly asks: number;
  /** True if the room had been loaded before. Any difference is then one between us and the homeserver. */
  readonly again: boolean;
}
