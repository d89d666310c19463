import type { Database, Statement } from "better-sqlite3";
import type { FloodOutcome, FloodStore } from "../leases/floods.ts";
import type { HolderClass, ReviewRefusal, ReviewStore, ReviewTicket } from "../leases/reviewer.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Lease } from "../../model/lease.ts";
import type { SqliteCoolDownStore } from "../../policy/store/cool-downs.ts";
import { LEASE_COLUMNS, REVIEW_ALL, REVIEW_GAP_MS, type LeaseBook, type LeaseRow } from "./lease-book.ts";
import { leaseOf } from "./leases.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

interface TicketRow {
  room_id: string;
  asks: number;
  is_loaded: number;
}

/** Ends leases of rooms that we are in, if policy no longer allows them. */
export class SqliteReviewStore implements ReviewStore, FloodStore {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #book: LeaseBook;
  readonly #coolDowns: SqliteCoolDownStore;
  readonly #ask: Statement<{ now: number }>;
  readonly #askTenants: Statement<{ now: number }>;
  readonly #due: Statement<[number, number], TicketRow>;
  readonly #nextDue: Statement<[], number | null>;
  readonly #classes: Statement<[number], LeaseRow>;
  readonly #ofClass: Statement<[number, string, string | null, string | null, number], LeaseRow>;
  readonly #done: Statement<{ asks: number; now: number; roomId: string }>;
  readonly #postpone: Statement<[number, string]>;
  readonly #isIn: Statement<[number], number>;

  constructor(db: Database, rooms: RoomNumbers, book: LeaseBook, coolDowns: SqliteCoolDownStore) {
    this.#db = db;
    this.#rooms = rooms;
    this.#book = book;
    this.#coolDowns = coolDowns;
    this.#ask = db.prepare(REVIEW_ALL);
    this.#askTenants = db.prepare(
      `${REVIEW_ALL} AND nr IN (SELECT room_nr FROM leases WHERE kind = 'tenant' AND ended_at IS NULL)`,
    );
    this.#due = db.prepare(
      "SELECT room_id, review_asks AS asks, load = 'loaded' AS is_loaded FROM rooms WHERE review_at <= ? ORDER BY review_at LIMIT ?",
    );
    this.#nextDue = db
      .prepare<[], number | null>("SELECT min(review_at) FROM rooms WHERE review_at IS NOT NULL")
      .pluck();
    // The first lease of each class (SQLite takes the row of the minimum).
    this.#classes = db.prepare(
      `SELECT min(id), ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL ` +
        "GROUP BY kind, CASE kind WHEN 'tenant' THEN holder END, alias",
    );
    this.#ofClass = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL AND kind = ? ` +
        "AND holder = coalesce(?, holder) AND alias IS ? ORDER BY id LIMIT ?",
    );
    this.#done = db.prepare(
      `UPDATE rooms SET review_at = CASE WHEN review_asks = @asks THEN NULL ELSE @now + ${REVIEW_GAP_MS} END, reviewed_at = @now ` +
        "WHERE room_id = @roomId",
    );
    this.#postpone = db.prepare("UPDATE rooms SET review_at = ? WHERE room_id = ?");
    this.#isIn = db.prepare<[number], number>("SELECT own_membership = 'join' FROM rooms WHERE nr = ?").pluck();
  }

  async askAll(whose: "all" | "tenants", now: number): Promise<void> {
    (whose === "all" ? this.#ask : this.#askTenants).run({ now });
  }

  async due(now: number, limit: number): Promise<readonly ReviewTicket[]> {
    return this.#due
      .all(now, limit)
      .map(({ room_id, asks, is_loaded }) => ({ roomId: room_id as RoomId, asks, isLoaded: is_loaded === 1 }));
  }

  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  async classes(roomId: RoomId): Promise<readonly Lease[]> {
    const nr = this.#rooms.find(roomId);
    return nr === null || this.#isIn.get(nr) !== 1 ? [] : this.#classes.all(nr).map((row) => leaseOf(roomId, row));
  }

  async refuse(roomId: RoomId, whose: HolderClass, why: ReviewRefusal, now: number, limit: number): Promise<number> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.find(roomId);
        if (nr === null) return 0;
        const leases = this.#ofClass.all(nr, whose.kind, whose.tenant, whose.alias, limit);
        if (leases.length > 0) this.#book.refuse(nr, leases, why, now);
        return leases.length;
      })
      .immediate();
  }

  async done({ roomId, asks }: ReviewTicket, now: number): Promise<void> {
    this.#done.run({ roomId, asks, now });
  }

  async postpone(roomId: RoomId, at: number): Promise<void> {
    this.#postpone.run(at, roomId);
  }

  async flood(roomId: RoomId, reason: string, now: number): Promise<FloodOutcome | null> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.find(roomId);
        if (nr === null || this.#isIn.get(nr) !== 1) return null;
        // Events that still arrive while we are leaving are no second flood.
        if (!this.#coolDowns.lasts(nr, "flooded", now)) {
          this.#coolDowns.strikeNow(nr, roomId, "flooded", reason, now);
        }
        const live = this.#book.liveOf(nr);
        // The operator allowed the room that was named, and not one that a lease followed to.
        const ended = live.filter(({ kind, upgrades }) => kind !== "operator" || upgrades > 0);
        this.#book.refuse(nr, ended, { code: "flooded", reason, atOnce: true }, now);
        return { ended: ended.map((row) => leaseOf(roomId, row).holder.kind), isKept: ended.length < live.length };
      })
      .immediate();
  }
}
