import type { Database, Statement } from "better-sqlite3";
import type { LeaseStore } from "../leases/desk.ts";
import type { RoomAlias, RoomId } from "../../model/ids.ts";
import {
  holderText,
  type Holder,
  type HolderKind,
  type Lease,
  type LeaseEnd,
  type LeaseWish,
} from "../../model/lease.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { LEASE_COLUMNS, WAITING_KINDS, type LeaseBook, type LeaseRow } from "./lease-book.ts";
import type { Memo } from "../../storage/memo.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

/** How long ended leases tell a holder why it lost them. They stay until a tenant got the events they cover. */
const ENDED_KEPT_MS = 7 * 24 * 60 * 60 * 1000;

export class SqliteLeaseStore implements LeaseStore {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #book: LeaseBook;
  readonly #audit: AuditStore;
  readonly #find: Statement<[number, string, string], LeaseRow>;
  readonly #findIn: Statement<[string, string, string], LeaseRow>;
  readonly #lastEnd: Statement<[number, string, string], string | null>;
  readonly #expired: Statement<[number, number], LeaseRow>;
  readonly #nextExpiry: Statement<[], number | null>;
  readonly #forget: Statement<[number, number]>;
  readonly #count: Statement<[string, string], number>;
  readonly #ofHolder: Statement<[string, string], LeaseRow & { room_id: string }>;
  readonly #found: Memo<Lease | null>;
  readonly #presentRooms: Statement<[string, string], string>;
  readonly #reachBack: Statement<[number, string, string, string, number]>;

  constructor(db: Database, rooms: RoomNumbers, book: LeaseBook, audit: AuditStore, found: Memo<Lease | null>) {
    this.#db = db;
    this.#rooms = rooms;
    this.#book = book;
    this.#audit = audit;
    this.#found = found;
    this.#find = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND kind = ? AND holder = ? AND ended_at IS NULL`,
    );
    this.#findIn = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = ?) ` +
        "AND kind = ? AND holder = ? AND ended_at IS NULL",
    );
    this.#lastEnd = db
      .prepare<[number, string, string], string | null>(
        "SELECT end_reason FROM leases WHERE room_nr = ? AND kind = ? AND holder = ? ORDER BY id DESC LIMIT 1",
      )
      .pluck();
    this.#expired = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE ended_at IS NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?`,
    );
    this.#nextExpiry = db
      .prepare<[], number | null>(
        "SELECT min(expires_at) FROM leases WHERE ended_at IS NULL AND expires_at IS NOT NULL",
      )
      .pluck();
    this.#forget = db.prepare(
      "DELETE FROM leases WHERE id IN (SELECT id FROM leases l WHERE ended_at IS NOT NULL AND ended_at < ? " +
        "AND NOT EXISTS (SELECT 1 FROM cursors c WHERE l.kind = 'tenant' AND c.consumer = 'tenant:' || l.holder AND c.seq < l.to_seq) " +
        "AND change < (SELECT max(change) FROM leases) LIMIT ?)",
    );
    this.#count = db
      .prepare<[string, string], number>(
        "SELECT count(*) FROM leases WHERE kind = ? AND holder = ? AND ended_at IS NULL",
      )
      .pluck();
    this.#ofHolder = db.prepare(
      "SELECT r.room_id, l.* FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
        "WHERE l.kind = ? AND l.holder = ? AND l.ended_at IS NULL ORDER BY l.id",
    );
    this.#reachBack = db.prepare(
      "UPDATE leases SET from_seq = ? WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = ?) AND kind = ? AND holder = ? " +
        "AND ended_at IS NULL AND from_seq > ?",
    );
    this.#presentRooms = db
      .prepare<[string, string], string>(
        "SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
          "WHERE l.kind = ? AND l.holder = ? AND l.ended_at IS NULL AND r.own_membership = 'join' ORDER BY r.room_id",
      )
      .pluck();
  }

  async book(wish: LeaseWish, now: number): Promise<Lease> {
    const { roomId, holder, alias = null, via, upgrades = 0, ttl, from = null } = wish;
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.take(roomId);
        this.#rooms.learnVia(nr, via);
        const before = this.#find.get(nr, holder.kind, holder.name);
        const expires_at = ttl === null ? null : now + ttl;
        const { kind, name } = holder;
        this.#book.put({ room_nr: nr, kind, holder: name, alias, upgrades, expires_at }, from, now);
        const row = this.#find.get(nr, holder.kind, holder.name);
        if (row === undefined) throw new Error("a lease that was just booked is not there");
        // Holders renew as often as they read or ask again. A row for each renewal would repeat the first.
        if (before === undefined || isOtherwise(before, row)) {
          const action = before === undefined ? "lease.take" : "lease.renew";
          this.#audit.write(
            { actor: holderText(holder), action, outcome: "done", roomId, detail: { via: [...via], ttl } },
            now,
          );
        }
        this.#book.wake(nr, now, WAITING_KINDS.includes(holder.kind));
        return leaseOf(roomId, row);
      })
      .immediate();
  }

  async end(roomId: RoomId, holder: Holder, end: LeaseEnd, now: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.find(roomId);
        const row = nr === null ? undefined : this.#find.get(nr, holder.kind, holder.name);
        if (row === undefined) return false;
        this.#book.endOne(row, end, now);
        this.#book.wake(row.room_nr, now);
        return true;
      })
      .immediate();
  }

  async expire(now: number, limit: number): Promise<number> {
    const rows = this.#expired.all(now, limit);
    this.#db
      .transaction(() => {
        for (const row of rows) {
          this.#book.endOne(row, "expired", now);
          this.#book.wake(row.room_nr, now);
        }
        this.#forget.run(now - ENDED_KEPT_MS, limit);
      })
      .immediate();
    return rows.length;
  }

  async nextExpiry(): Promise<number | null> {
    return this.#nextExpiry.get() ?? null;
  }

  async find(roomId: RoomId, holder: Holder): Promise<Lease | null> {
    const { kind, name } = holder;
    return this.#found.get(`${roomId}\n${kind}\n${name}`, () => {
      const row = this.#findIn.get(roomId, kind, name);
      return row === undefined ? null : leaseOf(roomId, row);
    });
  }

  async lastEnd(roomId: RoomId, holder: Holder): Promise<LeaseEnd | null> {
    const nr = this.#rooms.find(roomId);
    return nr === null ? null : ((this.#lastEnd.get(nr, holder.kind, holder.name) ?? null) as LeaseEnd | null);
  }

  async ofRoom(roomId: RoomId): Promise<readonly Lease[]> {
    const nr = this.#rooms.find(roomId);
    return nr === null ? [] : this.#book.liveOf(nr).map((row) => leaseOf(roomId, row));
  }

  async countOf(holder: Holder): Promise<number> {
    return this.#count.get(holder.kind, holder.name) ?? 0;
  }

  async ofHolder({ kind, name }: Holder): Promise<readonly Lease[]> {
    return this.#ofHolder.all(kind, name).map((row) => leaseOf(row.room_id as RoomId, row));
  }

  async reachBack(roomId: RoomId, { kind, name }: Holder, from: number): Promise<void> {
    this.#reachBack.run(from, roomId, kind, name, from);
  }

  async presentRoomsOf(holder: Holder): Promise<readonly RoomId[]> {
    return this.#presentRooms.all(holder.kind, holder.name) as RoomId[];
  }
}

/** Returns whether a renewal changed more of a lease than its expiry. */
function isOtherwise(before: LeaseRow, after: LeaseRow): boolean {
  return before.alias !== after.alias || (before.expires_at === null) !== (after.expires_at === null);
}

export function leaseOf(roomId: RoomId, row: LeaseRow): Lease {
  return {
    id: row.id,
    roomId,
    holder: { kind: row.kind as HolderKind, name: row.holder },
    alias: row.alias as RoomAlias | null,
    takenAt: row.taken_at,
    upgrades: row.upgrades,
    expiresAt: row.expires_at,
  };
}
