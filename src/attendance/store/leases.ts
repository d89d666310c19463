import type { Database } from "better-sqlite3";
import type { RoomId } from "../../model/ids.ts";
import { holderText, type Holder, type Lease, type LeaseEnd, type LeaseWish } from "../../model/lease.ts";
import { LEASE_COLUMNS, leaseOf, WAITING_KINDS, type LeaseBook, type LeaseRow } from "./lease-book.ts";
import { Memo, type WriteCount } from "../../storage/memo.ts";
import { Store } from "../../storage/store.ts";

/** How long ended leases tell a holder why it lost them. They stay until a tenant got the events they cover. */
const ENDED_KEPT_MS = 7 * 24 * 60 * 60 * 1000;
const LIVE = "ended_at IS NULL";
const IN_ROOM = "room_nr = (SELECT nr FROM rooms WHERE room_id = ?)";
const OF_HOLDER = `leases l JOIN rooms r ON r.nr = l.room_nr WHERE l.kind = ? AND l.holder = ? AND l.${LIVE}`;

/** The desk's view of storage. Every call is one commit, with its audit row. */
export class LeaseStore extends Store {
  readonly #book: LeaseBook;
  readonly #found: Memo<Lease | null>;
  readonly #find = this.sql<[string, string, string], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE ${IN_ROOM} AND kind = ? AND holder = ? AND ${LIVE}`,
  );
  readonly #lastEnd = this.value<[string, string, string], LeaseEnd | null>(
    `SELECT end_reason FROM leases WHERE ${IN_ROOM} AND kind = ? AND holder = ? ORDER BY id DESC LIMIT 1`,
  );
  readonly #expired = this.sql<[number, number], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE ${LIVE} AND expires_at <= ? ORDER BY expires_at LIMIT ?`,
  );
  readonly #nextExpiry = this.value<[], number | null>(
    `SELECT min(expires_at) FROM leases WHERE ${LIVE} AND expires_at IS NOT NULL`,
  );
  readonly #forget = this.sql<[number, number]>(`
    DELETE FROM leases WHERE id IN (SELECT id FROM leases l WHERE ended_at IS NOT NULL AND ended_at < ?
      AND NOT EXISTS (SELECT 1 FROM cursors c
        WHERE l.kind = 'tenant' AND c.consumer = 'tenant:' || l.holder AND c.seq < l.to_seq)
      AND change < (SELECT max(change) FROM leases) LIMIT ?)`);
  readonly #count = this.value<[string, string], number>(
    `SELECT count(*) FROM leases WHERE kind = ? AND holder = ? AND ${LIVE}`,
  );
  readonly #ofHolder = this.sql<[string, string], LeaseRow & { readonly room_id: RoomId }>(
    `SELECT r.room_id, l.* FROM ${OF_HOLDER} ORDER BY l.id`,
  );
  readonly #presentRooms = this.value<[string, string], RoomId>(
    `SELECT r.room_id FROM ${OF_HOLDER} AND r.own_membership = 'join' ORDER BY r.room_id`,
  );
  readonly #reachBack = this.sql<[number, string, string, string, number]>(
    `UPDATE leases SET from_seq = ? WHERE ${IN_ROOM} AND kind = ? AND holder = ? AND ${LIVE} AND from_seq > ?`,
  );

  constructor(db: Database, book: LeaseBook, writes: WriteCount) {
    super(db);
    this.#book = book;
    this.#found = new Memo(writes);
  }

  /** Books or renews the holder's lease in the room, and adds its routes to the room's. Wakes the attendance. */
  async book(wish: LeaseWish, now: number): Promise<Lease> {
    const { roomId, holder, alias = null, via, upgrades = 0, ttl, from = null } = wish;
    const { kind, name } = holder;
    return this.commit(() => {
      const nr = this.#book.rooms.take(roomId);
      this.#book.rooms.learnVia(nr, via);
      const before = this.#find.get(roomId, kind, name);
      const expires_at = ttl === null ? null : now + ttl;
      this.#book.put({ room_nr: nr, kind, holder: name, alias, upgrades, expires_at }, from, now);
      const row = this.#find.get(roomId, kind, name);
      if (row === undefined) throw new Error("a lease that was just booked is not there");
      // Holders renew as often as they read or ask again. A row for each renewal would repeat the first.
      if (before === undefined || isOtherwise(before, row)) {
        const action = before === undefined ? "lease.take" : "lease.renew";
        const what = { action, outcome: "done", roomId, detail: { via: [...via], ttl } };
        this.#book.audit.write({ actor: holderText(holder), ...what }, now);
      }
      this.#book.wake(nr, now, WAITING_KINDS.includes(kind));
      return leaseOf(roomId, row);
    });
  }

  /** Ends one lease; false if there is none. */
  async end(roomId: RoomId, { kind, name }: Holder, end: LeaseEnd, now: number): Promise<boolean> {
    return this.commit(() => {
      const row = this.#find.get(roomId, kind, name);
      if (row !== undefined) this.#end(row, end, now);
      return row !== undefined;
    });
  }

  /** Ends at most `limit` expired leases. Returns the number ended. */
  async expire(now: number, limit: number): Promise<number> {
    const rows = this.#expired.all(now, limit);
    this.commit(() => {
      for (const row of rows) this.#end(row, "expired", now);
      this.#forget.run(now - ENDED_KEPT_MS, limit);
    });
    return rows.length;
  }

  #end(row: LeaseRow, end: LeaseEnd, now: number): void {
    this.#book.endOne(row, end, now);
    this.#book.wake(row.room_nr, now);
  }

  /** Returns when the next lease expires; null if none does. */
  async nextExpiry(): Promise<number | null> {
    return this.#nextExpiry.get() ?? null;
  }

  async find(roomId: RoomId, { kind, name }: Holder): Promise<Lease | null> {
    return this.#found.get(`${roomId}\n${kind}\n${name}`, () => {
      const row = this.#find.get(roomId, kind, name);
      return row === undefined ? null : leaseOf(roomId, row);
    });
  }

  /** Returns why this holder's newest lease in the room ended; null if it never had one, or has one now. */
  async lastEnd(roomId: RoomId, { kind, name }: Holder): Promise<LeaseEnd | null> {
    return this.#lastEnd.get(roomId, kind, name) ?? null;
  }

  async ofRoom(roomId: RoomId): Promise<readonly Lease[]> {
    const nr = this.#book.rooms.find(roomId);
    return nr === null ? [] : this.#book.liveOf(nr).map((row) => leaseOf(roomId, row));
  }

  async countOf({ kind, name }: Holder): Promise<number> {
    return this.#count.get(kind, name) ?? 0;
  }

  async ofHolder({ kind, name }: Holder): Promise<readonly Lease[]> {
    return this.#ofHolder.all(kind, name).map((row) => leaseOf(row.room_id, row));
  }

  /** Returns the rooms in which a holder has a live lease and the pseudouser is present, in the order of their IDs. */
  async presentRoomsOf({ kind, name }: Holder): Promise<readonly RoomId[]> {
    return this.#presentRooms.all(kind, name);
  }

  /** Moves the beginning of a live lease back to this journal number, if it begins later. */
  async reachBack(roomId: RoomId, { kind, name }: Holder, from: number): Promise<void> {
    this.#reachBack.run(from, roomId, kind, name, from);
  }
}

/** Returns whether a renewal changed more of a lease than its expiry. */
function isOtherwise(before: LeaseRow, after: LeaseRow): boolean {
  return before.alias !== after.alias || (before.expires_at === null) !== (after.expires_at === null);
}
