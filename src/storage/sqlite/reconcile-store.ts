import type { Database, Statement } from "better-sqlite3";
import type { RoomId } from "../../model/ids.ts";
import type { ReconcileStore } from "../../reconcile/contracts.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { RoomNumbers } from "./rooms.ts";

/** So many of the newest journal rows are looked through for rooms that are lively. */
const JOURNAL_ROWS = 50;

export class SqliteReconcileStore implements ReconcileStore {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #leases: LeaseBook;
  readonly #attended: Statement<[], string>;
  readonly #setAbsent: Statement<[number, number]>;
  readonly #lively: Statement<[number, number], string>;
  readonly #recheck: Statement<[number, number], string>;

  constructor(db: Database, rooms: RoomNumbers, leases: LeaseBook) {
    this.#db = db;
    this.#rooms = rooms;
    this.#leases = leases;
    this.#attended = db.prepare<[], string>("SELECT room_id FROM rooms WHERE own_membership = 'join'").pluck();
    this.#setAbsent = db.prepare(
      "UPDATE rooms SET own_membership = 'leave', own_event = NULL, load = 'stale', load_at = ? WHERE nr = ? AND own_membership = 'join'",
    );
    this.#lively = db
      .prepare<[number, number], string>(
        "SELECT r.room_id FROM (SELECT CAST(body AS TEXT) AS body, first_seq FROM journal ORDER BY first_seq DESC LIMIT ?) AS newest, " +
          "json_each(newest.body, '$.events') AS event JOIN rooms r ON r.room_id = event.value ->> '$.room_id' " +
          "WHERE r.own_membership = 'join' GROUP BY r.room_id ORDER BY max(newest.first_seq) DESC LIMIT ?",
      )
      .pluck();
    this.#recheck = db
      .prepare<[number, number], string>(
        "UPDATE rooms SET load = 'wanted', load_at = ?, load_asks = load_asks + 1 WHERE nr = " +
          "(SELECT nr FROM rooms WHERE load = 'loaded' AND checked_at < ? ORDER BY checked_at LIMIT 1) RETURNING room_id",
      )
      .pluck();
  }

  async attended(): Promise<readonly RoomId[]> {
    return this.#attended.all() as RoomId[];
  }

  async setAbsent(roomId: RoomId, now: number): Promise<void> {
    this.#db
      .transaction(() => {
        const nr = this.#rooms.take(roomId);
        if (this.#setAbsent.run(now, nr).changes > 0) this.#leases.wake(nr, now);
      })
      .immediate();
  }

  async liveliest(limit: number): Promise<readonly RoomId[]> {
    return this.#lively.all(JOURNAL_ROWS, limit) as RoomId[];
  }

  async recheckOne(before: number, now: number): Promise<RoomId | null> {
    return (this.#recheck.get(now, before) ?? null) as RoomId | null;
  }
}
