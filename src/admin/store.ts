import type { Database, Statement } from "better-sqlite3";
import type { RoomId } from "../model/ids.ts";
import { holderText } from "../model/lease.ts";
import { MEMBERSHIPS, type Membership } from "../model/membership.ts";
import type { AdminAnswer } from "./api/endpoints.ts";
import { leaseOf, type LeaseBook } from "../attendance/store/lease-book.ts";

type RoomAnswer = AdminAnswer<"rooms">["rooms"][number];
type Row = Omit<RoomAnswer, "leases"> & { readonly nr: number };

function stateAt(field: string, name = field): string {
  return `(SELECT value FROM room_state WHERE room_nr = r.nr AND field = '${field}') AS ${name}`;
}

/** A room's row in the form of the admin API. Nobody reads back events of a room that we are not in. */
const ROWS = `SELECT r.nr, r.room_id, ${stateAt("name")}, ${stateAt("alias", "canonical_alias")},
  coalesce(a.phase, 'absent') AS phase, coalesce(a.since, 0) AS since, r.own_membership, r.joined_members,
  ${["join_rule", "history_visibility", "encryption", "version"].map((field) => stateAt(field)).join(", ")}, r.load,
  CASE WHEN r.left_event IS NULL OR r.own_membership IS NOT 'join' THEN 'none'
    WHEN r.fill_at IS NULL THEN 'open' ELSE 'filling' END AS gap,
  a.code, a.reason
  FROM rooms r LEFT JOIN attendance a ON a.room_nr = r.nr`;

export class OverviewStore {
  readonly #page: Statement<[string, number], Row>;
  readonly #one: Statement<[string], Row>;
  readonly #book: LeaseBook;
  readonly #counts: Statement<[string], { membership: string; members: number }>;
  readonly #servers: Statement<[string], number>;
  readonly #phases: Statement<[], { phase: string; rooms: number }>;
  readonly #kinds: Statement<[], { kind: string; leases: number }>;
  readonly #loading: Statement<[], number>;

  constructor(db: Database, book: LeaseBook) {
    this.#book = book;
    this.#page = db.prepare(
      `${ROWS} WHERE r.room_id > ? AND (a.room_nr IS NOT NULL OR r.own_membership IS NOT NULL) ORDER BY r.room_id LIMIT ?`,
    );
    this.#one = db.prepare(`${ROWS} WHERE r.room_id = ?`);
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

  /** Returns rooms with present or past attendance, in the order of their IDs, after `after`. */
  async lines(after: RoomId | null, limit: number): Promise<readonly RoomAnswer[]> {
    return this.#page.all(after ?? "", limit).map((row) => this.#answer(row));
  }

  async line(roomId: RoomId): Promise<RoomAnswer | null> {
    const row = this.#one.get(roomId);
    return row === undefined ? null : this.#answer(row);
  }

  /** Returns the number of servers of the room's joined members. */
  async servers(roomId: RoomId): Promise<number> {
    return this.#servers.get(roomId) ?? 0;
  }

  async memberCounts(roomId: RoomId): Promise<Readonly<Record<Membership, number>>> {
    const found = new Map(this.#counts.all(roomId).map(({ membership, members }) => [membership, members]));
    const counts = MEMBERSHIPS.map((membership) => [membership, found.get(membership) ?? 0] as const);
    return Object.fromEntries(counts) as Record<Membership, number>;
  }

  async totals() {
    return {
      phases: Object.fromEntries(this.#phases.all().map(({ phase, rooms }) => [phase, rooms])),
      leases: Object.fromEntries(this.#kinds.all().map(({ kind, leases }) => [kind, leases])),
      loading: this.#loading.get() ?? 0,
    };
  }

  #answer({ nr, ...row }: Row): RoomAnswer {
    const leases = this.#book.liveOf(nr).map((lease) => leaseOf(row.room_id as RoomId, lease));
    return {
      ...row,
      leases: leases.map(({ holder, takenAt, expiresAt }) => ({
        holder: holderText(holder),
        taken_at: takenAt,
        expires_at: expiresAt,
      })),
    };
  }
}
