import type { Database } from "better-sqlite3";
import type { Attendance, LeaseProgress, RoomSituation } from "../attendance.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
import { FairQueue, type Waiting } from "../../concurrency/fair-queue.ts";
import type { AttendedRooms, HeldRooms, RoomCounts } from "../../policy/inputs.ts";
import type { CoolDownStore } from "../../policy/store/cool-downs.ts";
import { leaseOf, WAITING_KINDS, type LeaseBook } from "./lease-book.ts";
import { Memo, type WriteCount } from "../../storage/memo.ts";
import { Store } from "../../storage/store.ts";

/** Actions that Emissary takes in a room by itself, as the audit names them. */
type OwnDeed = "room.join" | "room.leave" | "room.decline" | "room.functional-member";

type SituationRow = Omit<Attendance, "roomId"> &
  Pick<RoomSituation, "revision" | "ownMembership"> & { readonly nr: number };

/** Numbers of the pseudouser's rooms; and whether a room counts towards each of them. */
type Counts = Pick<RoomCounts, "underWay"> & { readonly rooms: number };
type Counted = { readonly isThere: number; readonly isUnderWay: number } | null;

/** Errcode of a join that the homeserver's complexity limit refuses (Synapse, `limit_remote_rooms`). */
const TOO_COMPLEX = "M_RESOURCE_LIMIT_EXCEEDED";

/** One in this many rounds begins with the rooms that nobody waits for, so that none is postponed forever. */
const TURN_OF_OTHERS = 4;
/** Most awaited rooms to choose from; policy.max_joins_under_way is about as many. */
const MOST_HURRIED = 1_000;
/** The caller who waits for room `a`. A device's name begins with its user's (see Peeker.holderOf). */
const WAITS = `(SELECT CASE l.kind
    WHEN 'peek' THEN 'peek ' || substr(l.holder, 1, instr(l.holder || '.', '.') - 1)
    ELSE l.kind || ' ' || l.holder END
  FROM leases l WHERE l.room_nr = a.room_nr AND l.ended_at IS NULL
    AND l.kind IN (${WAITING_KINDS.map((kind) => `'${kind}'`).join(", ")}) ORDER BY l.id LIMIT 1)`;
/** Wanted and not joined: the keeper has it on its agenda, and it has a lease. */
const UNDER_WAY = `r.own_membership IS NOT 'join' AND a.next_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = a.room_nr AND l.ended_at IS NULL)`;
const WITH_ROOMS = "attendance a JOIN rooms r ON r.nr = a.room_nr";
const NOT_THESE = "r.room_id NOT IN (SELECT value FROM json_each(@except))";

/** Stores the keeper's intentions. Each call is one commit. */
export class AttendanceStore extends Store implements AttendedRooms {
  readonly #book: LeaseBook;
  readonly #coolDowns: CoolDownStore;
  readonly #counted: Memo<Counts>;
  readonly #standings: Memo<Counted>;
  readonly #queue = new FairQueue();
  #turn = 0;

  // Also rooms that we are in without a row: joined by hand, or before a database was lost.
  readonly #recover = this.sql<[{ now: number }]>(`
    INSERT INTO attendance (room_nr, phase, since, next_at)
    SELECT nr, 'absent', @now, @now FROM rooms
    WHERE own_membership = 'join' AND nr NOT IN (SELECT room_nr FROM attendance)
    UNION SELECT room_nr, phase, since, @now FROM attendance WHERE phase IN ('joining', 'leaving')
    UNION SELECT l.room_nr, 'absent', @now, @now FROM leases l JOIN rooms r ON r.nr = l.room_nr
    WHERE l.ended_at IS NULL AND r.own_membership IS NOT 'join'
    ON CONFLICT (room_nr) DO UPDATE SET next_at = @now`);
  readonly #due = this.value<[{ now: number; except: string; limit: number }], RoomId>(
    `SELECT r.room_id FROM ${WITH_ROOMS} WHERE a.next_at <= @now AND a.hurry = 0 AND ${NOT_THESE} ` +
      "ORDER BY a.next_at LIMIT @limit",
  );
  readonly #hurried = this.sql<[{ now: number; except: string; limit: number }], Waiting>(
    `SELECT r.room_id AS roomId, ${WAITS} AS who FROM ${WITH_ROOMS} WHERE a.hurry = 1 AND a.next_at <= @now ` +
      `AND ${NOT_THESE} ORDER BY a.next_at LIMIT @limit`,
  );
  readonly #nextDue = this.value<[{ except: string }], number>(
    `SELECT a.next_at FROM ${WITH_ROOMS} WHERE a.next_at IS NOT NULL AND ${NOT_THESE} ORDER BY a.next_at LIMIT 1`,
  );
  readonly #situation = this.sql<[string], SituationRow>(`
    SELECT a.phase, a.since, a.tries, a.next_at AS nextAt, a.retry_at AS retryAt, a.leave_at AS leaveAt, a.code,
      a.reason, a.revision, r.own_membership AS ownMembership, r.nr FROM ${WITH_ROOMS} WHERE r.room_id = ?`);
  readonly #save = this.sql<[Attendance & { revision: number; isUnderWay: number }]>(`
    UPDATE attendance SET phase = @phase, since = @since, tries = @tries, next_at = @nextAt, retry_at = @retryAt,
      leave_at = @leaveAt, code = @code, reason = @reason, hurry = hurry * @isUnderWay
    WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = @roomId) AND revision = @revision`);
  readonly #noteLeave = this.sql<[string]>(
    "UPDATE attendance SET leave_asked = 1 WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = ?)",
  );
  readonly #progress = this.sql<[number], Omit<LeaseProgress, "present"> & { readonly present: number }>(`
    SELECT r.own_membership IS 'join' AS present, l.end_reason AS ended, a.code, a.reason
    FROM leases l JOIN rooms r ON r.nr = l.room_nr LEFT JOIN attendance a ON a.room_nr = l.room_nr WHERE l.id = ?`);
  readonly #counts = this.sql<[], Counts>(`
    SELECT (SELECT count(*) FROM rooms WHERE own_membership = 'join')
      + (SELECT count(*) FROM ${WITH_ROOMS} WHERE a.phase = 'joining' AND r.own_membership IS NOT 'join') AS rooms,
      (SELECT count(*) FROM ${WITH_ROOMS} WHERE ${UNDER_WAY}) AS underWay`);
  readonly #standing = this.sql<[string], Counted>(
    `SELECT r.own_membership = 'join' OR a.phase = 'joining' AS isThere, ${UNDER_WAY} AS isUnderWay ` +
      "FROM rooms r LEFT JOIN attendance a ON a.room_nr = r.nr WHERE r.room_id = ?",
  );
  readonly #held = this.sql<[string, string, string], HeldRooms>(`
    SELECT count(*) AS rooms, coalesce(sum(r.own_membership IS NOT 'join' AND a.next_at IS NOT NULL), 0) AS underWay
    FROM leases l JOIN rooms r ON r.nr = l.room_nr LEFT JOIN attendance a ON a.room_nr = l.room_nr
    WHERE l.ended_at IS NULL AND l.kind = ? AND l.holder = ? AND r.room_id <> ?`);
  // Ended leases are kept for longer than visits count (leases.ts). A bound divisor would divide as a fraction.
  readonly #visits = this.value<[string, number], number>(
    "SELECT count(DISTINCT l.taken_at / 3600000) FROM rooms r JOIN leases l ON l.room_nr = r.nr " +
      "WHERE r.room_id = ? AND l.kind = 'peek' AND l.taken_at >= ?",
  );
  readonly #attended = this.value<[], number>("SELECT count(*) FROM rooms WHERE own_membership = 'join'");

  constructor(db: Database, book: LeaseBook, coolDowns: CoolDownStore, writes: WriteCount) {
    super(db);
    this.#book = book;
    this.#coolDowns = coolDowns;
    this.#counted = new Memo(writes);
    this.#standings = new Memo(writes);
  }

  /** Call it at start: makes rooms due that had a move under way or whose attendance disagrees with the leases. */
  async recover(now: number): Promise<void> {
    this.#recover.run({ now });
  }

  /** Returns due rooms, the longest waiting first, at most `limit`. */
  async due(now: number, limit: number, running: ReadonlySet<RoomId>): Promise<readonly RoomId[]> {
    const except = JSON.stringify([...running]);
    const others = (most: number) => this.#due.all({ now, except, limit: most });
    const hurried = (most: number) => this.#queue.pick(this.#hurried.all({ now, except, limit: MOST_HURRIED }), most);
    this.#turn = (this.#turn + 1) % TURN_OF_OTHERS;
    const [first, then] = this.#turn === 0 ? [others, hurried] : [hurried, others];
    const due = first(limit);
    return [...due, ...(due.length < limit ? then(limit - due.length) : [])];
  }

  /** Returns when the next room outside `except` is due; null if there is none. */
  async nextDue(except: ReadonlySet<RoomId>): Promise<number | null> {
    return this.#nextDue.get({ except: JSON.stringify([...except]) }) ?? null;
  }

  async situation(roomId: RoomId): Promise<RoomSituation> {
    const row = this.#situation.get(roomId);
    if (row === undefined) throw new Error("the attendance of a room that was never attended");
    const { nr, revision, ownMembership, ...attendance } = row;
    const leases = this.#book.liveOf(nr).map((lease) => leaseOf(roomId, lease));
    return { attendance: { roomId, ...attendance }, revision, ownMembership, leases, via: this.#book.rooms.via(nr) };
  }

  /**
   * Writes the keeper's decision if nothing changed in the room since it read the situation (`revision`). Otherwise it
   * writes nothing and returns false; the room is due, and the keeper decides again.
   */
  async save(attendance: Attendance, revision: number): Promise<boolean> {
    const isUnderWay = Number(attendance.phase === "joining" || attendance.phase === "leaving");
    return this.#save.run({ ...attendance, isUnderWay, revision }).changes > 0;
  }

  /**
   * Notes that we are about to leave. Call it before you ask the homeserver: a leave without a note counts as somebody
   * else's decision. The note holds across crashes until the homeserver tells that we are out, however late.
   */
  async noteLeave(roomId: RoomId): Promise<void> {
    this.#noteLeave.run(roomId);
  }

  /** Writes the refusal to attendance and audit, and ends the room's leases up to the ID `newestLease`. */
  async refuse(roomId: RoomId, code: string, reason: string, now: number, newestLease: number): Promise<void> {
    this.commit(() => {
      const nr = this.#book.rooms.take(roomId);
      this.#book.endAll(nr, "refused", { code, reason, upTo: newestLease }, now);
      if (code === TOO_COMPLEX) this.#coolDowns.strikeNow(nr, roomId, "too-complex", reason, now);
      const what = { action: "room.join", outcome: code, roomId, detail: { reason } };
      this.#book.audit.write({ actor: "emissary", ...what }, now);
    });
  }

  /** Writes an action to the audit. */
  async noteDeed(roomId: RoomId, action: OwnDeed, now: number): Promise<void> {
    this.#book.audit.write({ actor: "emissary", action, outcome: "done", roomId, detail: {} }, now);
  }

  async progress(leaseId: number): Promise<LeaseProgress> {
    const row = this.#progress.get(leaseId);
    if (row === undefined) return { present: false, ended: "released", code: null, reason: null };
    return { ...row, present: row.present === 1 };
  }

  async counts(roomId: RoomId | null): Promise<RoomCounts> {
    const { rooms, underWay } = this.#counted.get("", () => this.#counts.get() ?? { rooms: 0, underWay: 0 });
    const standing = roomId === null ? null : this.#standings.get(roomId, () => this.#standing.get(roomId) ?? null);
    const isUnderWay = standing?.isUnderWay === 1;
    return { others: rooms - (standing?.isThere === 1 ? 1 : 0), underWay: underWay - Number(isUnderWay), isUnderWay };
  }

  /** Returns in how many hours since a time a visit of the room began, by its peek leases. */
  async visitedHours(roomId: RoomId, since: number): Promise<number> {
    return this.#visits.get(roomId, since) ?? 0;
  }

  /** Returns how many rooms the pseudouser is in. */
  async attended(): Promise<number> {
    return this.#attended.get() ?? 0;
  }

  async heldBy({ kind, name }: Holder, except: RoomId | null): Promise<HeldRooms> {
    return this.#held.get(kind, name, except ?? "") ?? { rooms: 0, underWay: 0 };
  }
}
