import type { EventId, RoomId, ServerName, UserId } from "../model/ids.ts";
import type { Member, Membership } from "../model/membership.ts";
import type { Room } from "../model/room.ts";
import type { LedgerChange } from "./fold.ts";

/** Reads what is true of rooms and members. Somebody or something the ledger does not know is null, not an error. */
export interface Ledger {
  room(roomId: RoomId): Promise<Room | null>;
  member(roomId: RoomId, userId: UserId): Promise<Member | null>;
  /** Whether a user of this server, other than a pseudouser, has joined the room or is invited, as far as is known. */
  hasMemberOf(roomId: RoomId, server: ServerName): Promise<boolean>;
  /** Members in the order of their IDs, those after `after`, at most `limit`. */
  members(roomId: RoomId, page: MemberPage): Promise<readonly Member[]>;
}

export interface MemberPage {
  readonly membership: Membership | null;
  readonly after: UserId | null;
  readonly limit: number;
}

/** A thing in a transaction that is no room event. It is kept aside for the operator; its neighbours are not held up by it. */
export interface SetAside {
  readonly fault: string;
  /** Its JSON, cut to a bound. */
  readonly json: string;
}

/** Everything that one transaction of the homeserver changes, written in one commit or not at all. */
export interface TransactionRecord {
  readonly txnId: string;
  /** Of the body as it was received: the same transaction sent again has the same. */
  readonly digest: string;
  readonly receivedAt: number;
  /** A JSON object whose `events` are exactly the new events, in order. */
  readonly body: Uint8Array;
  readonly eventIds: readonly EventId[];
  readonly changes: readonly LedgerChange[];
  readonly setAside: readonly SetAside[];
  /** A room to ask the homeserver for anew. */
  readonly reload?: RoomId;
}

export interface Recorded {
  /** The number that the first of the events got in the journal. */
  readonly firstSeq: number;
  /** Rooms whose events did not follow on what we hold: something was missed, or the room forked. They will be loaded anew. */
  readonly gaps: readonly RoomId[];
}

/** Writes facts. Only the recorder and the loader hold one. */
export interface LedgerWriter {
  record(transaction: TransactionRecord): Promise<Recorded>;
  /** The number of the newest event in the journal; 0 for none. */
  lastSeq(): Promise<number>;
  /**
   * Writes what the homeserver answered when asked, without a place in the journal.
   * @param asOf the newest event that was recorded when it was asked: what later ones set stays
   */
  observe(changes: readonly LedgerChange[], asOf: number, now: number): Promise<void>;
  /** IDs of the newest journal entries, oldest first, to start the memory of what was received. */
  recentEventIds(limit: number): Promise<readonly EventId[]>;
  /** The newest transactions that brought something, oldest first. */
  recentTransactions(limit: number): Promise<readonly { readonly txnId: string; readonly digest: string }[]>;
}

/**
 * Fetching a room's state and members from the homeserver while its events go on arriving. What an event brought after the
 * load began is newer than the fetched state and stays.
 */
export interface RoomLoads {
  /** Rooms to load or to drop whose time has come, at most `limit`. */
  due(now: number, limit: number): Promise<readonly { readonly roomId: RoomId; readonly drop: boolean }[]>;
  /** When the next one is due; null for none. */
  nextDue(): Promise<number | null>;
  begin(roomId: RoomId): Promise<LoadTicket>;
  /** Writes a part of the fetched state, one commit; the number of rows that were there otherwise, or not at all. */
  part(ticket: LoadTicket, changes: readonly LedgerChange[], now: number): Promise<number>;
  /**
   * Removes what the fetched state no longer has, and calls the room loaded if we are still in it and nothing that came
   * meanwhile was in doubt. The number of rows removed.
   */
  finish(ticket: LoadTicket, now: number): Promise<number>;
  /** Puts off a load that failed. */
  postpone(roomId: RoomId, at: number): Promise<void>;
  /** Drops up to `limit` members of a room that we left, our own row stays. True when nothing is left to drop. */
  drop(roomId: RoomId, limit: number): Promise<boolean>;
}

export interface LoadTicket {
  readonly roomId: RoomId;
  readonly generation: number;
  /** The newest journal number when the load began. */
  readonly fromSeq: number;
  /** How often the load had been asked for; more at the end mean that something came meanwhile that did not follow. */
  readonly asks: number;
  /** True where the room had been loaded before: what differs now is a difference between us and the homeserver. */
  readonly again: boolean;
}
