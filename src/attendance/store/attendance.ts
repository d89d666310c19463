import type { Database, Statement } from "better-sqlite3";
import type { AttendanceStore, LeaseProgress, OwnDeed, RoomSituation } from "../contracts.ts";
import type { Attendance, Phase } from "../attendance.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Holder, LeaseEnd } from "../../model/lease.ts";
import type { Membership } from "../../model/membership.ts";
import { FairQueue, type Waiting } from "../../concurrency/fair-queue.ts";
import type { AttendedRooms, HeldRooms, RoomCounts } from "../../policy/inputs.ts";
import type { AuditStore } from "../../storage/audit.ts";
import type { SqliteCoolDownStore } from "../../policy/store/cool-downs.ts";
import { WAITING_KINDS, type LeaseBook } from "./lease-book.ts";
import { leaseOf } from "./leases.ts";
import type { Memo } from "../../storage/memo.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

interface AttendanceRow {
  phase: string;
  since: number;
  tries: number;
  next_at: number | null;
  retry_at: number | null;
  leave_at: number | null;
  code: string | null;
  reason: string | null;
  revision: number;
}

interface ProgressRow {
  own_membership: string | null;
  end_reason: string | null;
  code: string | null;
  reason: string | null;
}

/** Errcode of a join that the homeserver's complexity limit refuses (Synapse, `limit_remote_rooms`). */
const TOO_COMPLEX = "M_RESOURCE_LIMIT_EXCEEDED";

/** One in this many rounds begins with the rooms that nobody waits for, so that none is postponed forever. */
const TURN_OF_OTHERS = 4;
/** Most awaited rooms to choose from; policy.max_joins_under_way is about as many. */
const MOST_HURRIED = 1_000;
/** The caller who waits for room `a`. A device's name begins with its user's (see Peeker.holderOf). */
const WAITS =
  "(SELECT CASE l.kind WHEN 'peek' THEN 'peek ' || substr(l.holder, 1, instr(l.holder || '.', '.') - 1) ELSE l.kind || ' ' || l.holder END " +
  `FROM leases l WHERE l.room_nr = a.room_nr AND l.ended_at IS NULL AND l.kind IN (${WAITING_KINDS.map((kind) => `'${kind}'`).join(", ")}) ` +
  "ORDER BY l.id LIMIT 1)";

/** Whether a room counts towards each of the numbers. */
export interface Counted {
  is_there: number;
  is_under_way: number;
}

export class SqliteAttendanceStore implements AttendanceStore, AttendedRooms {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #book: LeaseBook;
  readonly #audit: AuditStore;
  readonly #coolDowns: SqliteCoolDownStore;
  readonly #recover: Statement<{ now: number }>;
  readonly #due: Statement<[number, string, number], string>;
  readonly #hurried: Statement<[number, string, number], Waiting>;
  readonly #queue = new FairQueue();
  #turn = 0;
  readonly #nextDue: Statement<[string], number | null>;
  readonly #row: Statement<[number], AttendanceRow>;
  readonly #own: Statement<[number], { own_membership: string | null }>;
  readonly #save: Statement;
  readonly #noteLeave: Statement<[string]>;
  readonly #progress: Statement<[number], ProgressRow>;
  readonly #counts: Statement<[], { rooms: number; under_way: number }>;
  readonly #standing: Statement<[string], Counted>;
  readonly #held: Statement<[string, string, string], { rooms: number; under_way: number | null }>;
  readonly #counted: Memo<{ readonly rooms: number; readonly under_way: number }>;
  readonly #standings: Memo<Counted | null>;

  constructor(
    db: Database,
    rooms: RoomNumbers,
    book: LeaseBook,
    audit: AuditStore,
    coolDowns: SqliteCoolDownStore,
    counted: Memo<{ readonly rooms: number; readonly under_way: number }>,
    standings: Memo<Counted | null>,
  ) {
    this.#db = db;
    this.#rooms = rooms;
    this.#book = book;
    this.#audit = audit;
    this.#coolDowns = coolDowns;
    this.#counted = counted;
    this.#standings = standings;
    // Also rooms that we are in without a row: joined by hand, or before a database was lost.
    this.#recover = db.prepare(
      "INSERT INTO attendance (room_nr, phase, since, next_at) " +
        "SELECT nr, 'absent', @now, @now FROM rooms WHERE own_membership = 'join' AND nr NOT IN (SELECT room_nr FROM attendance) " +
        "UNION SELECT room_nr, phase, since, @now FROM attendance WHERE phase IN ('joining', 'leaving') " +
        "UNION SELECT l.room_nr, 'absent', @now, @now FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
        "WHERE l.ended_at IS NULL AND r.own_membership IS NOT 'join' " +
        "ON CONFLICT (room_nr) DO UPDATE SET next_at = @now",
    );
    this.#due = db
      .prepare<[number, string, number], string>(
        "SELECT r.room_id FROM attendance a JOIN rooms r ON r.nr = a.room_nr WHERE a.next_at <= ? AND a.hurry = 0 " +
          "AND r.room_id NOT IN (SELECT value FROM json_each(?)) ORDER BY a.next_at LIMIT ?",
      )
      .pluck();
    this.#hurried = db.prepare(
      `SELECT r.room_id AS roomId, ${WAITS} AS who FROM attendance a JOIN rooms r ON r.nr = a.room_nr WHERE a.hurry = 1 ` +
        "AND a.next_at <= ? AND r.room_id NOT IN (SELECT value FROM json_each(?)) ORDER BY a.next_at LIMIT ?",
    );
    this.#nextDue = db
      .prepare<[string], number | null>(
        "SELECT a.next_at FROM attendance a JOIN rooms r ON r.nr = a.room_nr WHERE a.next_at IS NOT NULL " +
          "AND r.room_id NOT IN (SELECT value FROM json_each(?)) ORDER BY a.next_at LIMIT 1",
      )
      .pluck();
    this.#row = db.prepare(
      "SELECT phase, since, tries, next_at, retry_at, leave_at, code, reason, revision FROM attendance WHERE room_nr = ?",
    );
    this.#own = db.prepare("SELECT own_membership FROM rooms WHERE nr = ?");
    this.#save = db.prepare(
      "UPDATE attendance SET phase = ?, since = ?, tries = ?, next_at = ?, retry_at = ?, leave_at = ?, code = ?, reason = ?, " +
        "hurry = hurry * ? WHERE room_nr = ? AND revision = ?",
    );
    this.#noteLeave = db.prepare(
      "UPDATE attendance SET leave_asked = 1 WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = ?)",
    );
    this.#progress = db.prepare(
      "SELECT r.own_membership, l.end_reason, a.code, a.reason FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
        "LEFT JOIN attendance a ON a.room_nr = l.room_nr WHERE l.id = ?",
    );
    // Wanted and not joined: the keeper has it on its agenda, and it has a lease.
    const underWay =
      "r.own_membership IS NOT 'join' AND a.next_at IS NOT NULL AND EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = a.room_nr AND l.ended_at IS NULL)";
    this.#counts = db.prepare(
      "SELECT (SELECT count(*) FROM rooms WHERE own_membership = 'join') + " +
        "(SELECT count(*) FROM attendance a JOIN rooms r ON r.nr = a.room_nr WHERE a.phase = 'joining' AND r.own_membership IS NOT 'join') AS rooms, " +
        `(SELECT count(*) FROM attendance a JOIN rooms r ON r.nr = a.room_nr WHERE ${underWay}) AS under_way`,
    );
    this.#standing = db.prepare(
      `SELECT r.own_membership = 'join' OR a.phase = 'joining' AS is_there, ${underWay} AS is_under_way ` +
        "FROM rooms r LEFT JOIN attendance a ON a.room_nr = r.nr WHERE r.room_id = ?",
    );
    this.#held = db.prepare(
      "SELECT count(*) AS rooms, sum(r.own_membership IS NOT 'join' AND a.next_at IS NOT NULL) AS under_way " +
        "FROM leases l JOIN rooms r ON r.nr = l.room_nr LEFT JOIN attendance a ON a.room_nr = l.room_nr " +
        "WHERE l.ended_at IS NULL AND l.kind = ? AND l.holder = ? AND r.room_id <> ?",
    );
  }

  async recover(now: number): Promise<void> {
    this.#recover.run({ now });
  }

  async due(now: number, limit: number, except: ReadonlySet<RoomId>): Promise<readonly RoomId[]> {
    const running = JSON.stringify([...except]);
    const others = (most: number) => this.#due.all(now, running, most) as RoomId[];
    const hurried = (most: number) => this.#queue.pick(this.#hurried.all(now, running, MOST_HURRIED), most);
    this.#turn = (this.#turn + 1) % TURN_OF_OTHERS;
    const [first, then] = this.#turn === 0 ? [others, hurried] : [hurried, others];
    const rooms = first(limit);
    return [...rooms, ...(rooms.length < limit ? then(limit - rooms.length) : [])];
  }

  async nextDue(except: ReadonlySet<RoomId>): Promise<number | null> {
    return this.#nextDue.get(JSON.stringify([...except])) ?? null;
  }

  async situation(roomId: RoomId): Promise<RoomSituation> {
    const nr = this.#rooms.find(roomId);
    const row = nr === null ? undefined : this.#row.get(nr);
    if (nr === null || row === undefined) throw new Error("the attendance of a room that was never attended");
    return {
      attendance: {
        roomId,
        phase: row.phase as Phase,
        since: row.since,
        tries: row.tries,
        nextAt: row.next_at,
        retryAt: row.retry_at,
        leaveAt: row.leave_at,
        code: row.code,
        reason: row.reason,
      },
      revision: row.revision,
      ownMembership: (this.#own.get(nr)?.own_membership ?? null) as Membership | null,
      leases: this.#book.liveOf(nr).map((lease) => leaseOf(roomId, lease)),
      via: this.#rooms.via(nr),
    };
  }

  async save(attendance: Attendance, revision: number): Promise<boolean> {
    const { roomId, phase, since, tries, nextAt, retryAt, leaveAt, code, reason } = attendance;
    const nr = this.#rooms.find(roomId);
    const isUnderWay = Number(phase === "joining" || phase === "leaving");
    return (
      this.#save.run(phase, since, tries, nextAt, retryAt, leaveAt, code, reason, isUnderWay, nr, revision).changes > 0
    );
  }

  async noteLeave(roomId: RoomId): Promise<void> {
    this.#noteLeave.run(roomId);
  }

  async refuse(roomId: RoomId, code: string, reason: string, now: number, newestLease: number): Promise<void> {
    this.#db
      .transaction(() => {
        const nr = this.#rooms.take(roomId);
        this.#book.endAll(nr, "refused", { code, reason, upTo: newestLease }, now);
        if (code === TOO_COMPLEX) this.#coolDowns.strikeNow(nr, roomId, "too-complex", reason, now);
        this.#audit.write({ actor: "emissary", action: "room.join", outcome: code, roomId, detail: { reason } }, now);
      })
      .immediate();
  }

  async noteDeed(roomId: RoomId, action: OwnDeed, now: number): Promise<void> {
    this.#audit.write({ actor: "emissary", action, outcome: "done", roomId, detail: {} }, now);
  }

  async progress(leaseId: number): Promise<LeaseProgress> {
    const row = this.#progress.get(leaseId);
    if (row === undefined) return { present: false, ended: "released", code: null, reason: null };
    return {
      present: row.own_membership === "join",
      ended: row.end_reason as LeaseEnd | null,
      code: row.code,
      reason: row.reason,
    };
  }

  async counts(roomId: RoomId | null): Promise<RoomCounts> {
    const counts = this.#counted.get("", () => this.#counts.get() ?? { rooms: 0, under_way: 0 });
    const standing = roomId === null ? null : this.#standings.get(roomId, () => this.#standing.get(roomId) ?? null);
    const isUnderWay = standing?.is_under_way === 1;
    return {
      others: counts.rooms - (standing?.is_there === 1 ? 1 : 0),
      underWay: counts.under_way - (isUnderWay ? 1 : 0),
      isUnderWay,
    };
  }

  async heldBy({ kind, name }: Holder, except: RoomId | null): Promise<HeldRooms> {
    const held = this.#held.get(kind, name, except ?? "");
    return { rooms: held?.rooms ?? 0, underWay: held?.under_way ?? 0 };
  }
}
