import type { Database, Statement } from "better-sqlite3";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../follower.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { Hole, HoleStore } from "../comparing/holes.ts";
import type { ReconcileStore, TimelinePoint } from "../comparing/contracts.ts";
import type { ChangeWriter } from "./changes.ts";
import { LAST_SEQ } from "./journal.ts";
import { ASK_LOAD } from "./stays.ts";

/** Newest journal rows searched for lively rooms. */
const JOURNAL_ROWS = 50;

interface PointRow {
  room_id: string;
  compared_event: string | null;
  compared_seq: number;
  last: number;
}

function pointOf(row: PointRow | undefined): TimelinePoint | null {
  if (row === undefined) return null;
  const { room_id, compared_event, compared_seq: seq, last } = row;
  return { roomId: room_id as RoomId, upTo: compared_event as EventId | null, seq, last };
}

export class SqliteReconcileStore implements ReconcileStore, HoleStore, LedgerFollower {
  readonly #db: Database;
  readonly #changes: ChangeWriter;
  readonly #attended: Statement<[], string>;
  readonly #newest: Statement<[number], Buffer>;
  readonly #isAttended: Statement<[string], number>;
  readonly #toCompare: Statement<[number], PointRow>;
  readonly #comparedUpTo: Statement<[string], PointRow>;
  readonly #compared: Statement<[{ roomId: string; upTo: string | null; seq: number; now: number }]>;
  readonly #holes: Statement<[number, number], { room_id: string; left_event: string; due: number; tries: number }>;
  readonly #closed: Statement<[{ roomId: string; left: string; due: number }]>;
  readonly #openStill: Statement<[{ roomId: string; left: string; due: number; at: number | null }]>;
  readonly #recheck: Statement<[number, number], string>;
  readonly #entered: Statement<[{ eventId: string | null; seq: number; now: number; nr: number }]>;
  readonly #left: Statement<[string | null, number]>;

  constructor(db: Database, changes: ChangeWriter) {
    this.#db = db;
    this.#changes = changes;
    this.#attended = db.prepare<[], string>("SELECT room_id FROM rooms WHERE own_membership = 'join'").pluck();
    this.#newest = db.prepare<[number], Buffer>("SELECT body FROM journal ORDER BY first_seq DESC LIMIT ?").pluck();
    this.#isAttended = db
      .prepare<[string], number>("SELECT 1 FROM rooms WHERE room_id = ? AND own_membership = 'join'")
      .pluck();
    const point = `SELECT room_id, compared_event, compared_seq, ${LAST_SEQ} AS last FROM rooms WHERE own_membership = 'join'`;
    this.#toCompare = db.prepare(`${point} AND compared_at < ? ORDER BY compared_at LIMIT 1`);
    this.#comparedUpTo = db.prepare(`${point} AND room_id = ?`);
    // If the pseudouser entered the room meanwhile, its comparison starts there: that number is higher.
    this.#compared = db.prepare(
      "UPDATE rooms SET compared_event = @upTo, compared_seq = @seq, compared_at = @now " +
        "WHERE room_id = @roomId AND own_membership = 'join' AND compared_seq <= @seq",
    );
    this.#holes = db.prepare(
      "SELECT room_id, left_event, fill_at AS due, fill_tries AS tries FROM rooms WHERE fill_at <= ? AND left_event IS NOT NULL ORDER BY fill_at LIMIT ?",
    );
    // If the room was left again meanwhile, it has another hole, which reaches back to the same event. It is filled
    // after the next join.
    const same = "room_id = @roomId AND left_event = @left AND fill_at = @due";
    this.#closed = db.prepare(`UPDATE rooms SET left_event = NULL, fill_at = NULL, fill_tries = 0 WHERE ${same}`);
    this.#openStill = db.prepare(`UPDATE rooms SET fill_at = @at, fill_tries = fill_tries + 1 WHERE ${same}`);
    this.#recheck = db
      .prepare<[number, number], string>(
        `UPDATE rooms SET ${ASK_LOAD} WHERE nr = ` +
          "(SELECT nr FROM rooms WHERE load = 'loaded' AND checked_at < ? ORDER BY checked_at LIMIT 1) RETURNING room_id",
      )
      .pluck();
    this.#entered = db.prepare(
      "UPDATE rooms SET compared_event = @eventId, compared_seq = @seq, compared_at = @now, " +
        "fill_at = CASE WHEN left_event IS NOT NULL THEN @now END, fill_tries = 0 WHERE nr = @nr",
    );
    // The first of several stays counts: what was said since is fetched back to there.
    this.#left = db.prepare("UPDATE rooms SET left_event = coalesce(left_event, ?), fill_at = NULL WHERE nr = ?");
  }

  /** Notes each stay. Events sent in our absence are fetched, and the room is compared from the entry on. */
  own({ nr }: NumberedRoom, { was, membership, eventId }: OwnChange, { seq, now }: Moment): void {
    if (membership === "join" && was !== "join") this.#entered.run({ eventId, seq, now, nr });
    if (membership !== "join" && was === "join") this.#left.run(eventId, nr);
  }

  async attended(): Promise<readonly RoomId[]> {
    return this.#attended.all() as RoomId[];
  }

  async setAbsent(roomId: RoomId, now: number): Promise<void> {
    this.#db.transaction(() => this.#changes.applyAbsence(roomId, now)).immediate();
  }

  async liveliest(limit: number): Promise<readonly RoomId[]> {
    const rooms = new Set<RoomId>();
    const looked = new Set<string>();
    // Parsed here and not by SQLite, which gives up on everything if one stranger's event is nested a thousand levels
    // deep.
    for (const body of this.#newest.iterate(JOURNAL_ROWS)) {
      const { events } = JSON.parse(body.toString("utf8")) as { readonly events: readonly RoomEvent[] };
      for (const { room_id: roomId } of events) {
        if (rooms.size >= limit) return [...rooms];
        if (looked.has(roomId)) continue;
        looked.add(roomId);
        if (this.#isAttended.get(roomId) !== undefined) rooms.add(roomId);
      }
    }
    return [...rooms];
  }

  async toCompare(before: number): Promise<TimelinePoint | null> {
    return pointOf(this.#toCompare.get(before));
  }

  async comparedUpTo(roomId: RoomId): Promise<TimelinePoint | null> {
    return pointOf(this.#comparedUpTo.get(roomId));
  }

  async compared(roomId: RoomId, upTo: EventId | null, seq: number, now: number): Promise<void> {
    this.#compared.run({ roomId, upTo, seq, now });
  }

  async holes(now: number, limit: number): Promise<readonly Hole[]> {
    return this.#holes.all(now, limit).map(({ room_id, left_event, due, tries }) => ({
      roomId: room_id as RoomId,
      left: left_event as EventId,
      due,
      tries,
    }));
  }

  async closed({ roomId, left, due }: Hole): Promise<void> {
    this.#closed.run({ roomId, left, due });
  }

  async openStill({ roomId, left, due }: Hole, at: number | null): Promise<void> {
    this.#openStill.run({ roomId, left, due, at });
  }

  async recheckOne(before: number, now: number): Promise<RoomId | null> {
    return (this.#recheck.get(now, before) ?? null) as RoomId | null;
  }
}
