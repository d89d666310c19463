import type { Database, Statement } from "better-sqlite3";
import type { RoomLine, RoomOverview, Totals } from "./contracts.ts";
import type { Phase } from "../attendance/attendance.ts";
import type { RoomId } from "../model/ids.ts";
import { MEMBERSHIPS, type Membership } from "../model/membership.ts";
import type { LoadState } from "../model/room.ts";
import { leaseOf, type LeaseBook } from "../attendance/store/lease-book.ts";

interface Row {
  nr: number;
  room_id: string;
  load: string;
  left_event: string | null;
  fill_at: number | null;
  own_membership: string | null;
  joined_members: number;
  phase: string | null;
  since: number | null;
  code: string | null;
  reason: string | null;
}

const COLUMNS =
  "r.nr, r.room_id, r.load, r.left_event, r.fill_at, r.own_membership, r.joined_members, a.phase, a.since, a.code, a.reason " +
  "FROM rooms r LEFT JOIN attendance a ON a.room_nr = r.nr";

/** Nobody reads back events of a room that we are not in. */
function gapOf({ left_event, fill_at, own_membership }: Row): RoomLine["gap"] {
  if (left_event === null || own_membership !== "join") return "none";
  return fill_at === null ? "open" : "filling";
}

export class OverviewStore implements RoomOverview {
  readonly #page: Statement<[string, number], Row>;
  readonly #one: Statement<[string], Row>;
  readonly #state: Statement<[number], { field: string; value: string | null }>;
  readonly #book: LeaseBook;
  readonly #counts: Statement<[string], { membership: string; members: number }>;
  readonly #servers: Statement<[string], number>;
  readonly #phases: Statement<[], { phase: string; rooms: number }>;
  readonly #kinds: Statement<[], { kind: string; leases: number }>;
  readonly #loading: Statement<[], number>;

  constructor(db: Database, book: LeaseBook) {
    this.#book = book;
    this.#page = db.prepare(
      `SELECT ${COLUMNS} WHERE r.room_id > ? AND (a.room_nr IS NOT NULL OR r.own_membership IS NOT NULL) ORDER BY r.room_id LIMIT ?`,
    );
    this.#one = db.prepare(`SELECT ${COLUMNS} WHERE r.room_id = ?`);
    this.#state = db.prepare("SELECT field, value FROM room_state WHERE room_nr = ?");
    this.#counts = db.prepare(
      "SELECT m.membership, count(*) AS members FROM members m JOIN rooms r ON r.nr = m.room_nr WHERE r.room_id = ? GROUP BY m.membership",
    );
    this.#servers = db
      .prepare<[string], number>(
        "SELECT count(DISTINCT substr(m.user_id, instr(m.user_id, ':') + 1)) FROM members m JOIN rooms r ON r.nr = m.room_nr " +
          "WHERE r.room_id = ? AND m.membership = 'join'",
      )
      .pluck();
    this.#phases = db.prepare("SELECT phase, count(*) AS rooms FROM attendance GROUP BY phase");
    this.#kinds = db.prepare("SELECT kind, count(*) AS leases FROM leases WHERE ended_at IS NULL GROUP BY kind");
    this.#loading = db.prepare<[], number>("SELECT count(*) FROM rooms WHERE load = 'wanted'").pluck();
  }

  async lines(after: RoomId | null, limit: number): Promise<readonly RoomLine[]> {
    return this.#page.all(after ?? "", limit).map((row) => this.#lineOf(row));
  }

  async line(roomId: RoomId): Promise<RoomLine | null> {
    const row = this.#one.get(roomId);
    return row === undefined ? null : this.#lineOf(row);
  }

  async servers(roomId: RoomId): Promise<number> {
    return this.#servers.get(roomId) ?? 0;
  }

  async memberCounts(roomId: RoomId): Promise<Readonly<Record<Membership, number>>> {
    const found = new Map(this.#counts.all(roomId).map(({ membership, members }) => [membership, members]));
    const counts = MEMBERSHIPS.map((membership) => [membership, found.get(membership) ?? 0] as const);
    return Object.fromEntries(counts) as Record<Membership, number>;
  }

  async totals(): Promise<Totals> {
    return {
      phases: Object.fromEntries(this.#phases.all().map(({ phase, rooms }) => [phase, rooms])),
      leases: Object.fromEntries(this.#kinds.all().map(({ kind, leases }) => [kind, leases])),
      loading: this.#loading.get() ?? 0,
    };
  }

  #lineOf(row: Row): RoomLine {
    const roomId = row.room_id as RoomId;
    const state = new Map(this.#state.all(row.nr).map(({ field, value }) => [field, value]));
    return {
      roomId,
      name: state.get("name") ?? null,
      canonicalAlias: state.get("alias") ?? null,
      joinRule: state.get("join_rule") ?? null,
      historyVisibility: state.get("history_visibility") ?? null,
      encryption: state.get("encryption") ?? null,
      version: state.get("version") ?? null,
      ownMembership: row.own_membership as Membership | null,
      joinedMembers: row.joined_members,
      load: row.load as LoadState,
      gap: gapOf(row),
      phase: (row.phase ?? "absent") as Phase,
      since: row.since ?? 0,
      code: row.code,
      reason: row.reason,
      leases: this.#book.liveOf(row.nr).map((lease) => leaseOf(roomId, lease)),
    };
  }
}
