import type { Database } from "better-sqlite3";
import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../follower.ts";
import type { ChangeWriter } from "./changes.ts";
import { LAST_SEQ } from "./journal.ts";
import { ASK_LOAD } from "./stays.ts";

/** Newest journal rows searched for lively rooms. */
const JOURNAL_ROWS = 50;

/** Up to where a room's timeline was found complete. */
export interface TimelinePoint {
  readonly roomId: RoomId;
  /** Null if it was never compared. */
  readonly upTo: EventId | null;
  /** The journal's newest number at that comparison, and now. */
  readonly seq: number;
  readonly last: number;
}

/** A room that was entered again: our homeserver may lack the events between the two stays. */
export interface Hole {
  readonly roomId: RoomId;
  /** The last known event of the earlier stay. */
  readonly left: EventId;
  /** When it was due. It tells stays apart. */
  readonly due: number;
  /** Number of unsuccessful tries. */
  readonly tries: number;
}

const POINT = `SELECT room_id AS roomId, compared_event AS upTo, compared_seq AS seq, ${LAST_SEQ} AS last
  FROM rooms WHERE own_membership = 'join'`;
// If the room was left again, it has another hole, back to the same event, which is filled after the next join.
const SAME_HOLE = "room_id = @roomId AND left_event = @left AND fill_at = @due";

/** The ledger's side of comparisons with the homeserver, and the repair of differences. */
export class SqliteReconcileStore extends Store implements LedgerFollower {
  readonly #changes: ChangeWriter;
  readonly #attended = this.value<[], RoomId>("SELECT room_id FROM rooms WHERE own_membership = 'join'");
  readonly #newest = this.value<[number], Buffer>("SELECT body FROM journal ORDER BY first_seq DESC LIMIT ?");
  readonly #isAttended = this.value<[string], number>(`
    SELECT 1 FROM rooms WHERE room_id = ? AND own_membership = 'join'`);
  readonly #toCompare = this.sql<[number], TimelinePoint>(`${POINT} AND compared_at < ? ORDER BY compared_at LIMIT 1`);
  readonly #comparedUpTo = this.sql<[string], TimelinePoint>(`${POINT} AND room_id = ?`);
  // If the pseudouser entered the room meanwhile, its comparison starts there: that number is higher.
  readonly #compared = this.sql<[{ roomId: string; upTo: string | null; seq: number; now: number }]>(`
    UPDATE rooms SET compared_event = @upTo, compared_seq = @seq, compared_at = @now
    WHERE room_id = @roomId AND own_membership = 'join' AND compared_seq <= @seq`);
  readonly #holes = this.sql<[number, number], Hole>(`
    SELECT room_id AS roomId, left_event AS left, fill_at AS due, fill_tries AS tries FROM rooms
    WHERE fill_at <= ? AND left_event IS NOT NULL ORDER BY fill_at LIMIT ?`);
  readonly #closed = this.sql<[Hole]>(`
    UPDATE rooms SET left_event = NULL, fill_at = NULL, fill_tries = 0 WHERE ${SAME_HOLE}`);
  readonly #openStill = this.sql<[Hole & { at: number | null }]>(`
    UPDATE rooms SET fill_at = @at, fill_tries = fill_tries + 1 WHERE ${SAME_HOLE}`);
  readonly #recheck = this.value<[number, number], RoomId>(`
    UPDATE rooms SET ${ASK_LOAD} WHERE nr =
      (SELECT nr FROM rooms WHERE load = 'loaded' AND checked_at < ? ORDER BY checked_at LIMIT 1) RETURNING room_id`);
  readonly #entered = this.sql<[{ eventId: string | null; seq: number; now: number; nr: number }]>(`
    UPDATE rooms SET compared_event = @eventId, compared_seq = @seq, compared_at = @now,
      fill_at = CASE WHEN left_event IS NOT NULL THEN @now END, fill_tries = 0 WHERE nr = @nr`);
  // The first of several stays counts: what was said since is fetched back to there.
  readonly #left = this.sql<[string | null, number]>(`
    UPDATE rooms SET left_event = coalesce(left_event, ?), fill_at = NULL WHERE nr = ?`);

  constructor(db: Database, changes: ChangeWriter) {
    super(db);
    this.#changes = changes;
  }

  /** Notes each stay. Events sent in our absence are fetched, and the room is compared from the entry on. */
  own({ nr }: NumberedRoom, { was, membership, eventId }: OwnChange, { seq, now }: Moment): void {
    if (membership === "join" && was !== "join") this.#entered.run({ eventId, seq, now, nr });
    if (membership !== "join" && was === "join") this.#left.run(eventId, nr);
  }

  /** Returns the rooms that the pseudouser is in according to the ledger. */
  async attended(): Promise<readonly RoomId[]> {
    return this.#attended.all();
  }

  /** Writes that we are not in this room, according to the homeserver, which gives no event that tells why. */
  async setAbsent(roomId: RoomId, now: number): Promise<void> {
    this.commit(() => this.#changes.applyAbsence(roomId, now));
  }

  /** Returns the attended rooms of the newest journal entries, the newest first, at most `limit`. */
  async liveliest(limit: number): Promise<readonly RoomId[]> {
    const rooms = new Set<RoomId>();
    const looked = new Set<string>();
    // SQLite would give up on everything if one stranger's event is nested a thousand levels deep.
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

  /** Returns the attended room whose comparison is oldest, if from before `before`. */
  async toCompare(before: number): Promise<TimelinePoint | null> {
    return this.#toCompare.get(before) ?? null;
  }

  /** Returns null if we are not in the room. */
  async comparedUpTo(roomId: RoomId): Promise<TimelinePoint | null> {
    return this.#comparedUpTo.get(roomId) ?? null;
  }

  /** Notes up to where a room was compared, unless it was entered again since. */
  async compared(roomId: RoomId, upTo: EventId | null, seq: number, now: number): Promise<void> {
    this.#compared.run({ roomId, upTo, seq, now });
  }

  /** Returns due holes, at most `limit`. */
  async holes(now: number, limit: number): Promise<readonly Hole[]> {
    return this.#holes.all(now, limit);
  }

  /** Ends the hole: nothing is missing any more. */
  async closed(hole: Hole): Promise<void> {
    this.#closed.run(hole);
  }

  /** Schedules another try; null for none, which marks the room. Changes nothing of a later stay. */
  async openStill(hole: Hole, at: number | null): Promise<void> {
    this.#openStill.run({ ...hole, at });
  }

  /** Makes the loader compare a room last compared before `before`. Returns it, or null if there is none. */
  async recheckOne(before: number, now: number): Promise<RoomId | null> {
    return this.#recheck.get(now, before) ?? null;
  }
}
