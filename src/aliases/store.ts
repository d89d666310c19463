import type { Database, Statement } from "better-sqlite3";
import type { AliasFacts, AliasLine, AliasStore } from "./contracts.ts";
import type { AliasState, KnownAlias } from "./alias.ts";
import type { AuditEntry } from "../model/audit.ts";
import type { RoomAlias, RoomId, UserId } from "../model/ids.ts";
import type { LeaseEnd } from "../model/lease.ts";
import { MAX_UPGRADES } from "../model/room.ts";
import type { AuditStore } from "../storage/audit.ts";
import type { RoomNumbers } from "../ledger/store/room-numbers.ts";

interface Row {
  alias: string;
  room_id: string;
  state: string;
  code: string | null;
  reason: string | null;
  since: number;
  checked_at: number;
  empty_since: number | null;
  moving_to: string | null;
}

interface LineRow extends Row {
  nr: number | null;
  own_membership: string | null;
  attendance_code: string | null;
  attendance_reason: string | null;
}

interface LeaseRow {
  ended_at: number | null;
  end_reason: string | null;
}

const LINE =
  "SELECT x.*, r.nr, r.own_membership, a.code AS attendance_code, a.reason AS attendance_reason FROM aliases x " +
  "LEFT JOIN rooms r ON r.room_id = x.room_id LEFT JOIN attendance a ON a.room_nr = r.nr";
const OF = "kind = 'alias' AND holder = ?";

export class SqliteAliasStore implements AliasStore {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #audit: AuditStore;
  readonly #page: Statement<[string, number], LineRow>;
  readonly #line: Statement<[string], LineRow>;
  readonly #row: Statement<[string], Row>;
  readonly #held: Statement<[string], string>;
  readonly #lease: Statement<[string, number], LeaseRow>;
  readonly #isLoaded: Statement<[number], number>;
  readonly #hasOrdinary: Statement<[number, string], number>;
  readonly #replacement: Statement<[string], string | null>;
  readonly #named: Statement<[string, string], string>;
  readonly #count: Statement<[], number>;
  readonly #put: Statement;
  readonly #forget: Statement<[string]>;
  readonly #ofRoom: Statement<[string, number], string>;
  readonly #leases: Statement<[number, number], { id: number; room_id: string; holder: string }>;
  readonly #attended: Statement<[string, number], string>;

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore) {
    this.#db = db;
    this.#rooms = rooms;
    this.#audit = audit;
    this.#page = db.prepare(`${LINE} WHERE x.alias > ? ORDER BY x.alias LIMIT ?`);
    this.#line = db.prepare(`${LINE} WHERE x.alias = ?`);
    this.#row = db.prepare("SELECT * FROM aliases WHERE alias = ?");
    this.#held = db
      .prepare<[string], string>(
        `SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE l.${OF} AND l.ended_at IS NULL ORDER BY l.id`,
      )
      .pluck();
    this.#lease = db.prepare(
      `SELECT ended_at, end_reason FROM leases WHERE ${OF} AND room_nr = ? ORDER BY id DESC LIMIT 1`,
    );
    this.#isLoaded = db
      .prepare<[number], number>("SELECT own_membership = 'join' AND load = 'loaded' FROM rooms WHERE nr = ?")
      .pluck();
    // `@:` and `@;` bound all IDs with an empty localpart, which are pseudousers' (MSC1777).
    this.#hasOrdinary = db
      .prepare<[number, string], number>(
        "SELECT EXISTS (SELECT 1 FROM members WHERE room_nr = ? AND membership = 'join' AND user_id <> ? " +
          "AND NOT (user_id >= '@:' AND user_id < '@;'))",
      )
      .pluck();
    this.#replacement = db
      .prepare<[string], string | null>(
        "SELECT s.value FROM room_state s JOIN rooms r ON r.nr = s.room_nr WHERE r.room_id = ? AND s.field = 'replacement'",
      )
      .pluck();
    this.#named = db
      .prepare<[string, string], string>(
        "SELECT r.room_id FROM room_state s JOIN rooms r ON r.nr = s.room_nr " +
          "WHERE s.field = 'alias' AND s.value = ? AND r.own_membership = 'join' AND r.room_id <> ? LIMIT 2",
      )
      .pluck();
    this.#count = db.prepare<[], number>("SELECT count(*) FROM aliases").pluck();
    this.#put = db.prepare(
      "INSERT OR REPLACE INTO aliases (alias, room_id, state, code, reason, since, checked_at, empty_since, moving_to) " +
        "VALUES (@alias, @roomId, @state, @code, @reason, @since, @checkedAt, @emptySince, @movingTo)",
    );
    this.#forget = db.prepare("DELETE FROM aliases WHERE alias = ?");
    this.#ofRoom = db
      .prepare<[string, number], string>("SELECT alias FROM aliases WHERE room_id = ? ORDER BY alias LIMIT ?")
      .pluck();
    this.#leases = db.prepare(
      "SELECT l.id, r.room_id, l.holder FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
        "WHERE l.kind = 'alias' AND l.ended_at IS NULL AND l.id > ? ORDER BY l.id LIMIT ?",
    );
    this.#attended = db
      .prepare<[string, number], string>(
        "SELECT room_id FROM rooms WHERE own_membership = 'join' AND room_id > ? ORDER BY room_id LIMIT ?",
      )
      .pluck();
  }

  async page(after: RoomAlias | null, limit: number): Promise<readonly AliasLine[]> {
    return this.#page.all(after ?? "", limit).map((row) => this.#lineOf(row));
  }

  async line(alias: RoomAlias): Promise<AliasLine | null> {
    const row = this.#line.get(alias);
    return row === undefined ? null : this.#lineOf(row);
  }

  async facts(alias: RoomAlias, roomId: RoomId | null, own: UserId): Promise<AliasFacts> {
    const row = this.#row.get(alias);
    const nr = roomId === null ? null : this.#rooms.find(roomId);
    const isLoaded = nr !== null && this.#isLoaded.get(nr) === 1;
    const hasOrdinary = nr !== null && this.#hasOrdinary.get(nr, own) === 1;
    return {
      known: row === undefined ? null : knownOf(row),
      held: this.#held.all(alias) as RoomId[],
      ended: nr === null ? null : ((this.#lease.get(alias, nr)?.end_reason ?? null) as LeaseEnd | null),
      // Outside the room, only some of its members are known.
      hasOrdinary: isLoaded ? hasOrdinary : hasOrdinary ? true : null,
      via: nr === null ? [] : this.#rooms.via(nr),
    };
  }

  async put(alias: KnownAlias, most: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        if (this.#row.get(alias.alias) === undefined && (this.#count.get() ?? 0) >= most) return false;
        this.#put.run({ ...alias });
        return true;
      })
      .immediate();
  }

  async forget(alias: RoomAlias): Promise<void> {
    this.#forget.run(alias);
  }

  async ofRoom(roomId: RoomId, limit: number): Promise<readonly RoomAlias[]> {
    return this.#ofRoom.all(roomId, limit) as RoomAlias[];
  }

  async leases(
    after: number,
    limit: number,
  ): Promise<readonly { readonly id: number; readonly roomId: RoomId; readonly alias: RoomAlias }[]> {
    return this.#leases
      .all(after, limit)
      .map(({ id, room_id, holder }) => ({ id, roomId: room_id as RoomId, alias: holder as RoomAlias }));
  }

  async attended(after: RoomId | null, limit: number): Promise<readonly RoomId[]> {
    return this.#attended.all(after ?? "", limit) as RoomId[];
  }

  async note(entry: AuditEntry, at: number): Promise<void> {
    this.#audit.write(entry, at);
  }

  #lineOf(row: LineRow): AliasLine {
    const lease = row.nr === null ? undefined : this.#lease.get(row.alias, row.nr);
    return {
      known: knownOf(row),
      isHeld: lease !== undefined && lease.ended_at === null,
      isPresent: row.own_membership === "join",
      ended: (lease?.end_reason ?? null) as LeaseEnd | null,
      endedAt: lease?.ended_at ?? null,
      attendance: { code: row.attendance_code, reason: row.attendance_reason },
      replacement: this.#lastReplacement(row.room_id),
      named: this.#named.all(row.alias, row.room_id) as RoomId[],
    };
  }

  #lastReplacement(roomId: string): RoomId | null {
    const passed = new Set([roomId]);
    let last: string | null = null;
    for (let next = this.#replacement.get(roomId) ?? null; next !== null; next = this.#replacement.get(next) ?? null) {
      if (passed.has(next) || passed.size > MAX_UPGRADES) break;
      passed.add(next);
      last = next;
    }
    return last as RoomId | null;
  }
}

function knownOf(row: Row): KnownAlias {
  return {
    alias: row.alias as RoomAlias,
    roomId: row.room_id as RoomId,
    state: row.state as AliasState,
    code: row.code,
    reason: row.reason,
    since: row.since,
    checkedAt: row.checked_at,
    emptySince: row.empty_since,
    movingTo: row.moving_to as RoomId | null,
  };
}
