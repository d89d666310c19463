import type { Database } from "better-sqlite3";
import type { RoomNumbers } from "../ledger/store/room-numbers.ts";
import type { AuditEntry } from "../model/audit.ts";
import type { RoomAlias, RoomId, UserId } from "../model/ids.ts";
import type { LeaseEnd } from "../model/lease.ts";
import { MAX_UPGRADES } from "../model/room.ts";
import type { AuditStore } from "../storage/audit.ts";
import { Store } from "../storage/store.ts";
import type { AliasFacts, AliasLine, KnownAlias } from "./alias.ts";

interface LineRow extends KnownAlias {
  nr: number | null;
  own_membership: string | null;
  attendance_code: string | null;
  attendance_reason: string | null;
}

interface LeaseRow {
  ended_at: number | null;
  end_reason: LeaseEnd | null;
}

/** A live lease for an alias. */
export interface AliasLease {
  readonly id: number;
  readonly roomId: RoomId;
  readonly alias: RoomAlias;
}

const KNOWN = `x.alias, x.room_id AS roomId, x.state, x.code, x.reason, x.since, x.checked_at AS checkedAt,
  x.empty_since AS emptySince, x.moving_to AS movingTo`;
const LINE = `SELECT ${KNOWN}, r.nr, r.own_membership, a.code AS attendance_code, a.reason AS attendance_reason
  FROM aliases x LEFT JOIN rooms r ON r.room_id = x.room_id LEFT JOIN attendance a ON a.room_nr = r.nr`;
const OF = "kind = 'alias' AND holder = ?";

/** Stores aliases of our server and where they point. Each call is one commit. */
export class SqliteAliasStore extends Store {
  readonly #rooms: RoomNumbers;
  readonly #audit: AuditStore;
  readonly #page = this.sql<[string, number], LineRow>(`${LINE} WHERE x.alias > ? ORDER BY x.alias LIMIT ?`);
  readonly #line = this.sql<[string], LineRow>(`${LINE} WHERE x.alias = ?`);
  readonly #row = this.sql<[string], KnownAlias>(`SELECT ${KNOWN} FROM aliases x WHERE x.alias = ?`);
  readonly #held = this.value<[string], RoomId>(`
    SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE l.${OF} AND l.ended_at IS NULL ORDER BY l.id`);
  readonly #lease = this.sql<[string, number], LeaseRow>(`
    SELECT ended_at, end_reason FROM leases WHERE ${OF} AND room_nr = ? ORDER BY id DESC LIMIT 1`);
  readonly #isLoaded = this.value<[number], number>(`
    SELECT own_membership = 'join' AND load = 'loaded' FROM rooms WHERE nr = ?`);
  // `@:` and `@;` bound all IDs with an empty localpart, which are pseudousers' (MSC1777).
  readonly #hasOrdinary = this.value<[number, string], number>(`
    SELECT EXISTS (SELECT 1 FROM members WHERE room_nr = ? AND membership = 'join' AND user_id <> ?
      AND NOT (user_id >= '@:' AND user_id < '@;'))`);
  readonly #replacement = this.value<[string], RoomId | null>(`
    SELECT s.value FROM room_state s JOIN rooms r ON r.nr = s.room_nr WHERE r.room_id = ? AND s.field = 'replacement'`);
  readonly #named = this.value<[string, string], RoomId>(`
    SELECT r.room_id FROM room_state s JOIN rooms r ON r.nr = s.room_nr
    WHERE s.field = 'alias' AND s.value = ? AND r.own_membership = 'join' AND r.room_id <> ? LIMIT 2`);
  readonly #count = this.value<[], number>("SELECT count(*) FROM aliases");
  readonly #put = this.sql<[KnownAlias]>(`
    INSERT OR REPLACE INTO aliases (alias, room_id, state, code, reason, since, checked_at, empty_since, moving_to)
    VALUES (@alias, @roomId, @state, @code, @reason, @since, @checkedAt, @emptySince, @movingTo)`);
  readonly #forget = this.sql<[string]>("DELETE FROM aliases WHERE alias = ?");
  readonly #ofRoom = this.value<[string, number], RoomAlias>(`
    SELECT alias FROM aliases WHERE room_id = ? ORDER BY alias LIMIT ?`);
  readonly #leases = this.sql<[number, number], AliasLease>(`
    SELECT l.id, r.room_id AS roomId, l.holder AS alias FROM leases l JOIN rooms r ON r.nr = l.room_nr
    WHERE l.kind = 'alias' AND l.ended_at IS NULL AND l.id > ? ORDER BY l.id LIMIT ?`);
  readonly #attended = this.value<[string, number], RoomId>(`
    SELECT room_id FROM rooms WHERE own_membership = 'join' AND room_id > ? ORDER BY room_id LIMIT ?`);

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore) {
    super(db);
    this.#rooms = rooms;
    this.#audit = audit;
  }

  /** Returns the next aliases, ordered by alias. */
  async page(after: RoomAlias | null, limit: number): Promise<readonly AliasLine[]> {
    return this.#page.all(after ?? "", limit).map((row) => this.#lineOf(row));
  }

  async line(alias: RoomAlias): Promise<AliasLine | null> {
    const row = this.#line.get(alias);
    return row === undefined ? null : this.#lineOf(row);
  }

  /** @param own the pseudouser, which is no ordinary user */
  async facts(alias: RoomAlias, roomId: RoomId | null, own: UserId): Promise<AliasFacts> {
    const nr = roomId === null ? null : this.#rooms.find(roomId);
    const hasOrdinary = nr !== null && this.#hasOrdinary.get(nr, own) === 1;
    // Outside the room, only some of its members are known.
    const isKnown = hasOrdinary || (nr !== null && this.#isLoaded.get(nr) === 1);
    return {
      known: this.#row.get(alias) ?? null,
      held: this.#held.all(alias),
      ended: nr === null ? null : (this.#lease.get(alias, nr)?.end_reason ?? null),
      hasOrdinary: isKnown ? hasOrdinary : null,
      via: nr === null ? [] : this.#rooms.via(nr),
    };
  }

  /** Stores an alias. Returns false, and writes nothing, if the alias is new and there are `most` already. */
  async put(alias: KnownAlias, most: number): Promise<boolean> {
    return this.commit(() => {
      if (this.#row.get(alias.alias) === undefined && (this.#count.get() ?? 0) >= most) return false;
      this.#put.run(alias);
      return true;
    });
  }

  async forget(alias: RoomAlias): Promise<void> {
    this.#forget.run(alias);
  }

  /** Returns the aliases that point to the room. */
  async ofRoom(roomId: RoomId, limit: number): Promise<readonly RoomAlias[]> {
    return this.#ofRoom.all(roomId, limit);
  }

  /** Returns live leases of aliases with numbers above `after`, in order. */
  async leases(after: number, limit: number): Promise<readonly AliasLease[]> {
    return this.#leases.all(after, limit);
  }

  /** Returns rooms that the pseudouser is in, ordered by ID. */
  async attended(after: RoomId | null, limit: number): Promise<readonly RoomId[]> {
    return this.#attended.all(after ?? "", limit);
  }

  /** Writes an audit row for an action of the operator. */
  async note(entry: AuditEntry, at: number): Promise<void> {
    this.#audit.write(entry, at);
  }

  #lineOf({ nr, own_membership, attendance_code, attendance_reason, ...known }: LineRow): AliasLine {
    const lease = nr === null ? undefined : this.#lease.get(known.alias, nr);
    return {
      known,
      isHeld: lease !== undefined && lease.ended_at === null,
      isPresent: own_membership === "join",
      ended: lease?.end_reason ?? null,
      endedAt: lease?.ended_at ?? null,
      attendance: { code: attendance_code, reason: attendance_reason },
      replacement: this.#lastReplacement(known.roomId),
      named: this.#named.all(known.alias, known.roomId),
    };
  }

  #lastReplacement(roomId: RoomId): RoomId | null {
    const passed = new Set([roomId]);
    let last: RoomId | null = null;
    for (let next = this.#replacement.get(roomId) ?? null; next !== null; next = this.#replacement.get(next) ?? null) {
      if (passed.has(next) || passed.size > MAX_UPGRADES) break;
      passed.add(next);
      last = next;
    }
    return last;
  }
}
