import type { Database } from "better-sqlite3";
import type { LedgerChange, RoomField } from "../fold.ts";
import type { EventId, RoomId, ServerName, TenantId, UserId } from "../../model/ids.ts";
import type { Member, Membership } from "../../model/membership.ts";
import { MAX_UPGRADES, type LoadState, type Room } from "../../model/room.ts";
import type { ChangeWriter } from "./changes.ts";
import { LAST_SEQ } from "./journal.ts";
import type { Memo } from "../../storage/memo.ts";
import { Store } from "../../storage/store.ts";
import type { Redactions } from "./redactions.ts";
import { parseVia, type RoomNumbers } from "./room-numbers.ts";

/** Faulty events kept for the operator; the oldest are removed. */
const SET_ASIDE_KEPT = 1_000;

interface RoomRow {
  load: string;
  own_membership: string | null;
  own_event: string | null;
  own_reason: string | null;
  via: string;
}

type MemberRow = Omit<Member, "roomId">;

const MEMBERS = `SELECT user_id AS userId, membership, event_id AS eventId, sender, displayname, avatar_url AS avatarUrl
  FROM members WHERE room_nr = ?`;

export interface MemberPage {
  readonly membership: Membership | null;
  readonly after: UserId | null;
  readonly limit: number;
}

/** An entry of a transaction that is no room event. It is set aside for the operator, and delays no other entry. */
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

/**
 * The ledger and the journal's writing end: one transaction of the homeserver is one transaction here. Only the
 * recorder and the loader write facts.
 */
export class LedgerStore extends Store {
  readonly #rooms: RoomNumbers;
  readonly #changes: ChangeWriter;
  readonly #redactions: Redactions;
  readonly #known: Memo<Room | null>;
  readonly #knownMembers: Memo<Member | null>;
  // One query, because each request of a tenant asks for this. A room without state is one row.
  readonly #room = this.sql<[string], RoomRow & { field: string | null; value: string | null }>(`
    SELECT load, own_membership, own_event, own_reason, via, field, value
    FROM rooms LEFT JOIN room_state ON room_nr = nr WHERE room_id = ?`);
  readonly #state = this.sql<[number], { field: string; value: string | null }>(`
    SELECT field, value FROM room_state WHERE room_nr = ?`);
  readonly #member = this.sql<[number, string], MemberRow>(`${MEMBERS} AND user_id = ?`);
  readonly #memberSeq = this.value<[number, string], number>(`
    SELECT seq FROM members WHERE room_nr = ? AND user_id = ?`);
  readonly #hasMemberOf = this.value<[number, string], number>(`
    SELECT 1 FROM room_servers WHERE room_nr = ? AND server = ?`);
  readonly #members = this.sql<[number, string, number], MemberRow>(`
    ${MEMBERS} AND user_id > ? ORDER BY user_id LIMIT ?`);
  readonly #membersIn = this.sql<[number, string, string, number], MemberRow>(`
    ${MEMBERS} AND membership = ? AND user_id > ? ORDER BY user_id LIMIT ?`);
  readonly #lastSeq = this.value<[], number>(`SELECT ${LAST_SEQ}`);
  readonly #append = this.sql<[number, number, number, string, string, string, Uint8Array]>(`
    INSERT INTO journal (first_seq, events, received_at, txn_id, digest, event_ids, body) VALUES (?, ?, ?, ?, ?, ?, ?)`);
  readonly #setAside = this.sql<[number, string, string, string, string]>(`
    INSERT INTO set_aside (received_at, txn_id, digest, fault, json) VALUES (?, ?, ?, ?, ?)`);
  readonly #trimAside = this.sql<[number]>("DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?");
  readonly #recent = this.value<[number], string>("SELECT event_ids FROM journal ORDER BY first_seq DESC LIMIT ?");
  // A transaction with nothing but faults has no row in the journal, but its repeat must be detected too.
  readonly #recentTransactions = this.sql<[{ limit: number }], { txnId: string; digest: string }>(`
    SELECT txn_id AS txnId, digest FROM (
      SELECT * FROM (SELECT txn_id, digest, received_at AS at, 1 AS has_events, first_seq AS nr FROM journal
        ORDER BY first_seq DESC LIMIT @limit)
      UNION ALL
      SELECT * FROM (SELECT txn_id, digest, max(received_at), 0, max(id) AS nr FROM set_aside
        GROUP BY txn_id, digest ORDER BY nr DESC LIMIT @limit)
    ) ORDER BY at DESC, has_events DESC, nr DESC LIMIT @limit`);
  readonly #record = this.db.transaction((transaction: TransactionRecord) => this.#recordNow(transaction));

  constructor(
    db: Database,
    rooms: RoomNumbers,
    changes: ChangeWriter,
    redactions: Redactions,
    known: Memo<Room | null>,
    knownMembers: Memo<Member | null>,
  ) {
    super(db);
    this.#redactions = redactions;
    this.#rooms = rooms;
    this.#changes = changes;
    this.#known = known;
    this.#knownMembers = knownMembers;
  }

  async record(transaction: TransactionRecord): Promise<Recorded> {
    return this.#record.immediate(transaction);
  }

  /** Returns the number of the newest event in the journal; 0 if there is none. */
  async lastSeq(): Promise<number> {
    return this.#last();
  }

  /**
   * Writes the homeserver's answer to a query. It gets no place in the journal.
   * @param asOf the newest event recorded at the time of the query; values set by later events stay
   */
  async observe(changes: readonly LedgerChange[], asOf: number, now: number): Promise<void> {
    this.commit(() => {
      const current = changes.filter((change) => change.kind !== "member" || this.#isCurrent(change.member, asOf));
      this.#changes.apply(current, asOf, now, true);
    });
  }

  /** Returns the event IDs of the newest journal entries, oldest first. They seed the duplicate detection. */
  async recentEventIds(limit: number): Promise<readonly EventId[]> {
    const newestFirst: EventId[][] = [];
    let found = 0;
    for (const json of this.#recent.iterate(limit)) {
      const ids = JSON.parse(json) as EventId[];
      newestFirst.push(ids);
      found += ids.length;
      if (found >= limit) break;
    }
    return newestFirst.reverse().flat().slice(-limit);
  }

  /** Returns the newest transactions that brought something, oldest first. */
  async recentTransactions(limit: number): Promise<readonly { readonly txnId: string; readonly digest: string }[]> {
    return this.#recentTransactions.all({ limit }).reverse();
  }

  async room(roomId: RoomId): Promise<Room | null> {
    return this.#known.get(roomId, () => this.#read(roomId));
  }

  #read(roomId: RoomId): Room | null {
    const rows = this.#room.all(roomId);
    const [row] = rows;
    if (row === undefined) return null;
    const state = new Map(rows.map(({ field, value }) => [field, value]));
    const of = (field: RoomField): string | null => state.get(field) ?? null;
    return {
      roomId,
      load: row.load as LoadState,
      ownMembership: row.own_membership as Membership | null,
      ownMembershipEvent: row.own_event as EventId | null,
      ownReason: row.own_reason,
      creator: of("creator") as UserId | null,
      serverAcl: of("server_acl"),
      createdFor: (of("created_for") ?? this.#inherited(roomId, of("predecessor"))) as TenantId | null,
      version: of("version"),
      roomType: of("type"),
      name: of("name"),
      canonicalAlias: of("alias"),
      joinRule: of("join_rule"),
      historyVisibility: of("history_visibility"),
      encryption: of("encryption"),
      replacement: of("replacement"),
      predecessor: of("predecessor"),
      via: parseVia(row.via),
    };
  }

  /**
   * Follows upgrades back, which do not copy the mark in m.room.create. The new room is for the same tenant as the old
   * one if the old one names it as its replacement.
   */
  #inherited(roomId: string, predecessor: string | null): string | null {
    let room = roomId;
    let before = predecessor;
    for (let steps = 0; before !== null && steps < MAX_UPGRADES; steps += 1) {
      const nr = this.#rooms.find(before as RoomId);
      if (nr === null) return null;
      const state = new Map(this.#state.all(nr).map(({ field, value }) => [field, value]));
      if (state.get("replacement") !== room) return null;
      const createdFor = state.get("created_for") ?? null;
      if (createdFor !== null) return createdFor;
      room = before;
      before = state.get("predecessor") ?? null;
    }
    return null;
  }

  async member(roomId: RoomId, userId: UserId): Promise<Member | null> {
    return this.#knownMembers.get(`${userId} ${roomId}`, () => {
      const nr = this.#rooms.find(roomId);
      const row = nr === null ? undefined : this.#member.get(nr, userId);
      return row === undefined ? null : { roomId, ...row };
    });
  }

  /** Returns whether a user of this server, other than a pseudouser, is known to have joined the room or to be invited. */
  async hasMemberOf(roomId: RoomId, server: ServerName): Promise<boolean> {
    const nr = this.#rooms.find(roomId);
    return nr !== null && this.#hasMemberOf.get(nr, server) !== undefined;
  }

  /** Returns members in the order of their IDs, those after `after`, at most `limit`. */
  async members(roomId: RoomId, { membership, after, limit }: MemberPage): Promise<readonly Member[]> {
    const nr = this.#rooms.find(roomId);
    if (nr === null) return [];
    const rows =
      membership === null
        ? this.#members.all(nr, after ?? "", limit)
        : this.#membersIn.all(nr, membership, after ?? "", limit);
    return rows.map((row) => ({ roomId, ...row }));
  }

  #recordNow(transaction: TransactionRecord): Recorded {
    const { txnId, digest, receivedAt, body, eventIds, changes, setAside } = transaction;
    const firstSeq = this.#last() + 1;
    if (eventIds.length > 0) {
      const ids = JSON.stringify(eventIds);
      this.#append.run(firstSeq, eventIds.length, receivedAt, txnId, digest, ids, body);
      this.#redactions.came(ids);
    }
    for (const { fault, json } of setAside) this.#setAside.run(receivedAt, txnId, digest, fault, json);
    if (setAside.length > 0) this.#trimAside.run(SET_ASIDE_KEPT);
    const gaps = this.#changes.apply(changes, firstSeq + eventIds.length - 1, receivedAt);
    if (transaction.reload !== undefined) this.#changes.reload(transaction.reload, receivedAt);
    return { firstSeq, gaps };
  }

  /** Returns whether no event recorded after `asOf` has set this member. */
  #isCurrent({ roomId, userId }: Member, asOf: number): boolean {
    const nr = this.#rooms.find(roomId);
    return nr === null || (this.#memberSeq.get(nr, userId) ?? 0) <= asOf;
  }

  #last(): number {
    return this.#lastSeq.get() ?? 0;
  }
}
