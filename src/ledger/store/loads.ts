import type { Database, Statement } from "better-sqlite3";
import type { LedgerChange } from "../fold.ts";
import type { LoadTicket, RoomLoads } from "../ledger.ts";
import type { RoomId } from "../../model/ids.ts";
import type { ChangeWriter } from "./changes.ts";
import { LAST_SEQ } from "./journal.ts";
import type { RoomNumbers } from "./room-numbers.ts";

/**
 * Merges fetched room state with events that arrive at the same time. A row set since the load began, by an event or a
 * query to the homeserver, is newer than the fetched one and stays (`changes.ts`). A row that the fetched state does
 * not have, and that nothing has set since, is removed at the end.
 */
export class LoadStore implements RoomLoads {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #changes: ChangeWriter;
  readonly #due: Statement<[number, number], { room_id: string; load: string }>;
  readonly #nextDue: Statement<[], number | null>;
  readonly #begin: Statement<[number], { generation: number; asks: number; checked_at: number | null }>;
  readonly #lastSeq: Statement<[], number>;
  readonly #dropMembers: Statement<[number, number, number]>;
  readonly #dropState: Statement<[number, number, number]>;
  readonly #close: Statement<[number, number, number]>;
  readonly #postpone: Statement<[number, number]>;
  readonly #dropSome: Statement<[number, number]>;
  readonly #dropped: Statement<[number]>;

  constructor(db: Database, rooms: RoomNumbers, changes: ChangeWriter) {
    this.#db = db;
    this.#rooms = rooms;
    this.#changes = changes;
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
    this.#dropMembers = db.prepare("DELETE FROM members WHERE room_nr = ? AND generation <> ? AND seq <= ?");
    this.#dropState = db.prepare("DELETE FROM room_state WHERE room_nr = ? AND generation <> ? AND seq <= ?");
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
    return this.#db.transaction(() => this.#changes.applyLoaded(changes, ticket, now)).immediate();
  }

  async finish(ticket: LoadTicket, now: number): Promise<number> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.take(ticket.roomId);
        const members = this.#dropMembers.run(nr, ticket.generation, ticket.fromSeq).changes;
        const fields = this.#dropState.run(nr, ticket.generation, ticket.fromSeq).changes;
        this.#close.run(ticket.asks, now, nr);
        this.#changes.loaded(nr, ticket.roomId, !ticket.again || members + fields > 0, now);
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
}
