import type { Database, Statement } from "better-sqlite3";
import type { LedgerChange } from "../../ledger/fold.ts";
import type { LoadTicket, RoomLoads } from "../../ledger/ledger.ts";
import type { RoomId } from "../../model/ids.ts";
import { WEIGHED } from "./changes.ts";
import { LAST_SEQ } from "./journal-store.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { RoomNumbers } from "./rooms.ts";

/**
 * Merges fetched room state into what events bring at the same time. A row set by an event that was recorded after the load
 * began (its seq is above the ticket's) is newer than the fetched one and stays; a row the fetched state no longer has, and no
 * such event set, goes at the end.
 */
export class LoadStore implements RoomLoads {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #leases: LeaseBook;
  readonly #due: Statement<[number, number], { room_id: string; load: string }>;
  readonly #nextDue: Statement<[], number | null>;
  readonly #begin: Statement<[number], { generation: number; asks: number; checked_at: number | null }>;
  readonly #lastSeq: Statement<[], number>;
  readonly #putMember: Statement;
  readonly #putState: Statement;
  readonly #own: Statement<[string, string, string | null, number]>;
  readonly #dropMembers: Statement<[number, number, number]>;
  readonly #dropState: Statement<[number, number, number]>;
  readonly #close: Statement<[number, number, number]>;
  readonly #member: Statement<[number, string], string>;
  readonly #field: Statement<[number, string], string>;
  readonly #postpone: Statement<[number, number]>;
  readonly #dropSome: Statement<[number, number]>;
  readonly #dropped: Statement<[number]>;

  constructor(db: Database, rooms: RoomNumbers, leases: LeaseBook) {
    this.#db = db;
    this.#rooms = rooms;
    this.#leases = leases;
    this.#due = db.prepare(
      "SELECT room_id, load FROM rooms WHERE load IN ('wanted', 'stale') AND load_at <= ? ORDER BY load_at LIMIT ?",
    );
    this.#nextDue = db
      .prepare<[], number | null>("SELECT min(load_at) FROM rooms WHERE load IN ('wanted', 'stale')")
      .pluck();
    this.#begin = db.prepare(
      "UPDATE rooms SET load_generation = load_generation + 1 WHERE nr = ? RETURNING load_generation AS generation, load_asks AS asks, checked_at",
    );
    this.#lastSeq = db.prepare<[], number>(`SELECT ${LAST_SEQ}`).pluck();
    this.#putMember = db.prepare(
      "INSERT INTO members (room_nr, user_id, membership, event_id, sender, displayname, avatar_url, seq, generation) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (room_nr, user_id) DO UPDATE SET " +
        "membership = excluded.membership, event_id = excluded.event_id, sender = excluded.sender, " +
        "displayname = excluded.displayname, avatar_url = excluded.avatar_url, seq = excluded.seq, " +
        "generation = excluded.generation WHERE members.seq <= excluded.seq",
    );
    this.#putState = db.prepare(
      "INSERT INTO room_state (room_nr, field, value, event_id, seq, generation) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (room_nr, field) DO UPDATE SET " +
        "value = excluded.value, event_id = excluded.event_id, seq = excluded.seq, generation = excluded.generation " +
        "WHERE room_state.seq <= excluded.seq",
    );
    this.#own = db.prepare("UPDATE rooms SET own_membership = ?, own_event = ?, own_reason = ? WHERE nr = ?");
    this.#dropMembers = db.prepare("DELETE FROM members WHERE room_nr = ? AND generation <> ? AND seq <= ?");
    this.#dropState = db.prepare("DELETE FROM room_state WHERE room_nr = ? AND generation <> ? AND seq <= ?");
    this.#member = db
      .prepare<[number, string], string>("SELECT event_id FROM members WHERE room_nr = ? AND user_id = ?")
      .pluck();
    this.#field = db
      .prepare<[number, string], string>("SELECT event_id FROM room_state WHERE room_nr = ? AND field = ?")
      .pluck();
    this.#close = db.prepare(
      "UPDATE rooms SET load = CASE WHEN own_membership IS NOT 'join' THEN 'stale' WHEN load_asks > ? THEN 'wanted' ELSE 'loaded' END, " +
        "checked_at = ?, joined_members = (SELECT count(*) FROM members WHERE room_nr = nr AND membership = 'join') WHERE nr = ?",
    );
    this.#postpone = db.prepare("UPDATE rooms SET load_at = ? WHERE nr = ?");
    this.#dropSome = db.prepare(
      "DELETE FROM members WHERE (room_nr, user_id) IN (SELECT m.room_nr, m.user_id FROM members m JOIN rooms r ON r.nr = m.room_nr " +
        "WHERE m.room_nr = ? AND r.load = 'stale' AND m.event_id <> coalesce(r.own_event, '') LIMIT ?)",
    );
    this.#dropped = db.prepare(
      "UPDATE rooms SET load = 'none', checked_at = NULL, joined_members = 0 WHERE nr = ? AND load = 'stale'",
    );
  }

  async due(now: number, limit: number): Promise<readonly { readonly roomId: RoomId; readonly drop: boolean }[]> {
    return this.#due.all(now, limit).map((row) => ({ roomId: row.room_id as RoomId, drop: row.load === "stale" }));
  }

  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  async begin(roomId: RoomId): Promise<LoadTicket> {
    return this.#db
      .transaction(() => {
        const begun = this.#begin.get(this.#rooms.take(roomId));
        if (begun === undefined) throw new Error("UPDATE … RETURNING returned nothing");
        return {
          roomId,
          generation: begun.generation,
          fromSeq: this.#lastSeq.get() ?? 0,
          asks: begun.asks,
          again: begun.checked_at !== null,
        };
      })
      .immediate();
  }

  async part(ticket: LoadTicket, changes: readonly LedgerChange[], now: number): Promise<number> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.take(ticket.roomId);
        let differences = 0;
        for (const change of changes) if (this.#put(nr, ticket, change, now)) differences += 1;
        return differences;
      })
      .immediate();
  }

  async finish(ticket: LoadTicket, now: number): Promise<number> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.take(ticket.roomId);
        const members = this.#dropMembers.run(nr, ticket.generation, ticket.fromSeq).changes;
        const fields = this.#dropState.run(nr, ticket.generation, ticket.fromSeq).changes;
        this.#close.run(ticket.asks, now, nr);
        this.#leases.mayReplace(ticket.roomId, now);
        // Until now it was judged by how it looked from outside.
        if (!ticket.again || members + fields > 0) this.#leases.review(nr, now);
        return members + fields;
      })
      .immediate();
  }

  async postpone(roomId: RoomId, at: number): Promise<void> {
    this.#db.transaction(() => this.#postpone.run(at, this.#rooms.take(roomId))).immediate();
  }

  async drop(roomId: RoomId, limit: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.take(roomId);
        if (this.#dropSome.run(nr, limit).changes > 0) return false;
        this.#dropped.run(nr);
        return true;
      })
      .immediate();
  }

  /** Writes one row if no newer event has set it; whether it was otherwise before. */
  #put(nr: number, { generation, fromSeq, again }: LoadTicket, change: LedgerChange, now: number): boolean {
    if (change.kind === "state") {
      const before = this.#field.get(nr, change.field);
      const { field, value, eventId } = change;
      if (this.#putState.run(nr, field, value, eventId, fromSeq, generation).changes === 0) return false;
      if (field === "replacement" && before !== eventId) this.#leases.replaced(nr, now);
      if (again && before !== eventId && WEIGHED.has(field)) this.#leases.review(nr, now);
      return before !== eventId;
    }
    if (change.kind !== "member") return false;
    const { userId, membership, eventId, sender, displayname, avatarUrl } = change.member;
    const before = this.#member.get(nr, userId);
    const row = [nr, userId, membership, eventId, sender, displayname, avatarUrl, fromSeq, generation];
    if (this.#putMember.run(...row).changes === 0) return false;
    if (change.own) {
      this.#own.run(membership, eventId, change.reason, nr);
      if (membership === "join") this.#leases.entered(nr);
      if (change.ends !== null) {
        this.#leases.endAll(nr, change.ends, { code: change.ends, reason: `${change.ends} by ${sender}` }, now);
      }
      this.#leases.wake(nr, now);
    } else if (again && before !== eventId) {
      this.#leases.reviewVouchers(nr, now);
    }
    return before !== eventId;
  }
}
