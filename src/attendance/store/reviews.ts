import type { Database } from "better-sqlite3";
import type { RoomAlias, RoomId } from "../../model/ids.ts";
import type { HolderKind, Lease } from "../../model/lease.ts";
import type { CoolDownStore } from "../../policy/store/cool-downs.ts";
import { Store } from "../../storage/store.ts";
import {
  LEASE_COLUMNS,
  leaseOf,
  REVIEW_ALL,
  REVIEW_GAP_MS,
  type LeaseBook,
  type LeaseRow,
  type Refusal,
} from "./lease-book.ts";

/** A room whose leases must be judged again. */
export interface ReviewTicket {
  readonly roomId: RoomId;
  /** How often a review had been requested. A higher number at the end means that something changed meanwhile. */
  readonly asks: number;
  /** Whether the ledger holds the room, so that policy can use it. */
  readonly isLoaded: boolean;
}

/** Leases of one room that policy treats alike: with the same alias, and the same tenant or kind of holder. */
export interface HolderClass {
  readonly kind: HolderKind;
  readonly tenant: string | null;
  readonly alias: RoomAlias | null;
}

export interface FloodOutcome {
  /** Holders of the ended leases. */
  readonly ended: readonly HolderKind[];
  /** Whether the operator's lease keeps us in the room. */
  readonly isKept: boolean;
}

/** Rooms to review, requested in the commit of their cause, and the end of refused leases. Each call is one commit. */
export class ReviewStore extends Store {
  readonly #book: LeaseBook;
  readonly #coolDowns: CoolDownStore;
  readonly #ask = this.sql<[{ now: number }]>(REVIEW_ALL);
  readonly #askTenants = this.sql<[{ now: number }]>(
    `${REVIEW_ALL} AND nr IN (SELECT room_nr FROM leases WHERE kind = 'tenant' AND ended_at IS NULL)`,
  );
  readonly #due = this.sql<[number, number], Omit<ReviewTicket, "isLoaded"> & { readonly isLoaded: number }>(
    "SELECT room_id AS roomId, review_asks AS asks, load = 'loaded' AS isLoaded FROM rooms WHERE review_at <= ? " +
      "ORDER BY review_at LIMIT ?",
  );
  readonly #nextDue = this.value<[], number | null>("SELECT min(review_at) FROM rooms WHERE review_at IS NOT NULL");
  // The first lease of each class (SQLite takes the row of the minimum).
  readonly #classes = this.sql<[number], LeaseRow>(
    `SELECT min(id), ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL ` +
      "GROUP BY kind, CASE kind WHEN 'tenant' THEN holder END, alias",
  );
  readonly #ofClass = this.sql<[number, string, string | null, string | null, number], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL AND kind = ? ` +
      "AND holder = coalesce(?, holder) AND alias IS ? ORDER BY id LIMIT ?",
  );
  readonly #done = this.sql<[{ asks: number; now: number; roomId: string }]>(
    `UPDATE rooms SET review_at = CASE WHEN review_asks = @asks THEN NULL ELSE @now + ${REVIEW_GAP_MS} END, ` +
      "reviewed_at = @now WHERE room_id = @roomId",
  );
  readonly #postpone = this.sql<[number, string]>("UPDATE rooms SET review_at = ? WHERE room_id = ?");
  readonly #isIn = this.value<[number], number>("SELECT own_membership = 'join' FROM rooms WHERE nr = ?");

  constructor(db: Database, book: LeaseBook, coolDowns: CoolDownStore) {
    super(db);
    this.#book = book;
    this.#coolDowns = coolDowns;
  }

  /** Requests a review of all rooms that we are in, or of those with tenants. */
  async askAll(whose: "all" | "tenants", now: number): Promise<void> {
    (whose === "all" ? this.#ask : this.#askTenants).run({ now });
  }

  async due(now: number, limit: number): Promise<readonly ReviewTicket[]> {
    return this.#due.all(now, limit).map((row) => ({ ...row, isLoaded: row.isLoaded === 1 }));
  }

  /** Returns when the next review is due; null if there is none. */
  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  /** Returns one live lease of each class in the room. */
  async classes(roomId: RoomId): Promise<readonly Lease[]> {
    const nr = this.#book.rooms.find(roomId);
    return nr === null || this.#isIn.get(nr) !== 1 ? [] : this.#classes.all(nr).map((row) => leaseOf(roomId, row));
  }

  /** Ends at most `limit` leases of a class, with audit rows and the room's attendance. Returns the number ended. */
  async refuse(roomId: RoomId, whose: HolderClass, why: Refusal, now: number, limit: number): Promise<number> {
    return this.commit(() => {
      const nr = this.#book.rooms.find(roomId);
      if (nr === null) return 0;
      const leases = this.#ofClass.all(nr, whose.kind, whose.tenant, whose.alias, limit);
      if (leases.length > 0) this.#book.refuse(nr, leases, why, now);
      return leases.length;
    });
  }

  /** Ends the review. If something changed meanwhile, the room is due again. */
  async done({ roomId, asks }: ReviewTicket, now: number): Promise<void> {
    this.#done.run({ roomId, asks, now });
  }

  async postpone(roomId: RoomId, at: number): Promise<void> {
    this.#postpone.run(at, roomId);
  }

  /** Ends leases, except the operator's for this very room, and starts the cool-down. Null if we are not there. */
  async flood(roomId: RoomId, reason: string, now: number): Promise<FloodOutcome | null> {
    return this.commit(() => {
      const nr = this.#book.rooms.find(roomId);
      if (nr === null || this.#isIn.get(nr) !== 1) return null;
      // Events that still arrive while we are leaving are no second flood.
      if (!this.#coolDowns.lasts(nr, "flooded", now)) {
        this.#coolDowns.strikeNow(nr, roomId, "flooded", reason, now);
      }
      const live = this.#book.liveOf(nr);
      // The operator allowed the room that was named, and not one that a lease followed to.
      const ended = live.filter(({ kind, upgrades }) => kind !== "operator" || upgrades > 0);
      this.#book.refuse(nr, ended, { code: "flooded", reason, atOnce: true }, now);
      return { ended: ended.map(({ kind }) => kind), isKept: ended.length < live.length };
    });
  }
}
