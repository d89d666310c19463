import type { Database, Statement, Transaction } from "better-sqlite3";
import type { LedgerChange, RoomField } from "../fold.ts";
import type { Ledger, LedgerWriter, MemberPage, Recorded, TransactionRecord } from "../ledger.ts";
import type { EventId, RoomId, ServerName, TenantId, UserId } from "../../model/ids.ts";
import type { Member, Membership } from "../../model/membership.ts";
import { MAX_UPGRADES, type LoadState, type Room } from "../../model/room.ts";
import type { ChangeWriter } from "./changes.ts";
import { LAST_SEQ } from "./journal.ts";
import type { Memo } from "../../storage/memo.ts";
import type { Redactions } from "./redactions.ts";
import { parseVia, type RoomNumbers } from "./room-numbers.ts";

/** Faulty events kept for the operator; the oldest are removed. */
const SET_ASIDE_KEPT = 1_000;

interface MemberRow {
  user_id: string;
  membership: string;
  event_id: string;
  sender: string;
  displayname: string | null;
  avatar_url: string | null;
}

interface RoomRow {
  load: string;
  own_membership: string | null;
  own_event: string | null;
  own_reason: string | null;
  via: string;
}

interface ReceivedRow {
  txnId: string;
  digest: string;
  at: number;
}

const MEMBER_COLUMNS = "user_id, membership, event_id, sender, displayname, avatar_url";

/** The ledger and the journal's writing end: one transaction of the homeserver is one transaction here. */
export class LedgerStore implements Ledger, LedgerWriter {
  readonly #rooms: RoomNumbers;
  readonly #changes: ChangeWriter;
  readonly #redactions: Redactions;
  readonly #room: Statement<[string], RoomRow & { field: string | null; value: string | null }>;
  readonly #known: Memo<Room | null>;
  readonly #knownMembers: Memo<Member | null>;
  readonly #state: Statement<[number], { field: string; value: string | null }>;
  readonly #member: Statement<[number, string], MemberRow>;
  readonly #memberSeq: Statement<[number, string], number>;
  readonly #hasMemberOf: Statement<[number, string], number>;
  readonly #members: Statement<[number, string, number], MemberRow>;
  readonly #membersIn: Statement<[number, string, string, number], MemberRow>;
  readonly #lastSeq: Statement<[], number>;
  readonly #append: Statement<[number, number, number, string, string, string, Uint8Array]>;
  readonly #setAside: Statement<[number, string, string, string, string]>;
  readonly #trimAside: Statement<[number]>;
  readonly #recent: Statement<[number], { event_ids: string }>;
  readonly #recentTransactions: Statement<[number], ReceivedRow>;
  readonly #recentFaulty: Statement<[number], ReceivedRow>;
  readonly #record: Transaction<(transaction: TransactionRecord) => Recorded>;
  readonly #observe: Transaction<(changes: readonly LedgerChange[], asOf: number, now: number) => void>;

  constructor(
    db: Database,
    rooms: RoomNumbers,
    changes: ChangeWriter,
    redactions: Redactions,
    known: Memo<Room | null>,
    knownMembers: Memo<Member | null>,
  ) {
    this.#redactions = redactions;
    this.#rooms = rooms;
    this.#changes = changes;
    this.#known = known;
    this.#knownMembers = knownMembers;
    // One query, because each request of a tenant asks for this. A room without state is one row.
    this.#room = db.prepare(
      "SELECT load, own_membership, own_event, own_reason, via, field, value FROM rooms LEFT JOIN room_state ON room_nr = nr WHERE room_id = ?",
    );
    this.#state = db.prepare("SELECT field, value FROM room_state WHERE room_nr = ?");
    this.#member = db.prepare(`SELECT ${MEMBER_COLUMNS} FROM members WHERE room_nr = ? AND user_id = ?`);
    this.#memberSeq = db
      .prepare<[number, string], number>("SELECT seq FROM members WHERE room_nr = ? AND user_id = ?")
      .pluck();
    this.#hasMemberOf = db
      .prepare<[number, string], number>("SELECT 1 FROM room_servers WHERE room_nr = ? AND server = ?")
      .pluck();
    this.#members = db.prepare(
      `SELECT ${MEMBER_COLUMNS} FROM members WHERE room_nr = ? AND user_id > ? ORDER BY user_id LIMIT ?`,
    );
    this.#membersIn = db.prepare(
      `SELECT ${MEMBER_COLUMNS} FROM members WHERE room_nr = ? AND membership = ? AND user_id > ? ORDER BY user_id LIMIT ?`,
    );
    this.#lastSeq = db.prepare<[], number>(`SELECT ${LAST_SEQ}`).pluck();
    this.#append = db.prepare(
      "INSERT INTO journal (first_seq, events, received_at, txn_id, digest, event_ids, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#setAside = db.prepare(
      "INSERT INTO set_aside (received_at, txn_id, digest, fault, json) VALUES (?, ?, ?, ?, ?)",
    );
    this.#trimAside = db.prepare("DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?");
    this.#recent = db.prepare("SELECT event_ids FROM journal ORDER BY first_seq DESC LIMIT ?");
    this.#recentTransactions = db.prepare(
      "SELECT txn_id AS txnId, digest, received_at AS at FROM journal ORDER BY first_seq DESC LIMIT ?",
    );
    this.#recentFaulty = db.prepare(
      "SELECT txn_id AS txnId, digest, max(received_at) AS at FROM set_aside GROUP BY txn_id, digest ORDER BY max(id) DESC LIMIT ?",
    );
    this.#record = db.transaction((transaction: TransactionRecord) => this.#recordNow(transaction));
    this.#observe = db.transaction((observed: readonly LedgerChange[], asOf: number, now: number) => {
      const current = observed.filter((change) => change.kind !== "member" || this.#isCurrent(change.member, asOf));
      this.#changes.apply(current, asOf, now, true);
    });
  }

  async record(transaction: TransactionRecord): Promise<Recorded> {
    return this.#record.immediate(transaction);
  }

  async lastSeq(): Promise<number> {
    return this.#last();
  }

  async observe(changes: readonly LedgerChange[], asOf: number, now: number): Promise<void> {
    this.#observe.immediate(changes, asOf, now);
  }

  async recentEventIds(limit: number): Promise<readonly EventId[]> {
    const newestFirst: EventId[][] = [];
    let found = 0;
    for (const row of this.#recent.iterate(limit)) {
      const ids = JSON.parse(row.event_ids) as EventId[];
      newestFirst.push(ids);
      found += ids.length;
      if (found >= limit) break;
    }
    return newestFirst.reverse().flat().slice(-limit);
  }

  async recentTransactions(limit: number): Promise<readonly { readonly txnId: string; readonly digest: string }[]> {
    // A transaction with nothing but faults has no row in the journal, but its repeat must be detected too.
    const received = [...this.#recentFaulty.all(limit).reverse(), ...this.#recentTransactions.all(limit).reverse()];
    return received
      .sort((one, other) => one.at - other.at)
      .slice(-limit)
      .map(({ txnId, digest }) => ({ txnId, digest }));
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
   * Follows upgrades back. An upgrade does not copy the mark of the old room's m.room.create. The new room is for the
   * same tenant as the old one if the old one names it as its replacement.
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
    return this.#knownMembers.get(`${userId} ${roomId}`, () => this.#readMember(roomId, userId));
  }

  #readMember(roomId: RoomId, userId: UserId): Member | null {
    const nr = this.#rooms.find(roomId);
    const row = nr === null ? undefined : this.#member.get(nr, userId);
    return row === undefined ? null : memberOf(roomId, row);
  }

  async hasMemberOf(roomId: RoomId, server: ServerName): Promise<boolean> {
    const nr = this.#rooms.find(roomId);
    return nr !== null && this.#hasMemberOf.get(nr, server) !== undefined;
  }

  async members(roomId: RoomId, { membership, after, limit }: MemberPage): Promise<readonly Member[]> {
    const nr = this.#rooms.find(roomId);
    if (nr === null) return [];
    const rows =
      membership === null
        ? this.#members.all(nr, after ?? "", limit)
        : this.#membersIn.all(nr, membership, after ?? "", limit);
    return rows.map((row) => memberOf(roomId, row));
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

function memberOf(roomId: RoomId, row: MemberRow): Member {
  return {
    roomId,
    userId: row.user_id as UserId,
    membership: row.membership as Membership,
    eventId: row.event_id as EventId,
    sender: row.sender as UserId,
    displayname: row.displayname,
    avatarUrl: row.avatar_url,
  };
}
