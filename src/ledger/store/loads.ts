import type { Database } from "better-sqlite3";
import type { RoomId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";
import type { LedgerChange } from "../fold.ts";
import type { ChangeWriter, LoadTicket } from "./changes.ts";
import { LAST_SEQ } from "./journal.ts";
import type { RoomNumbers } from "./room-numbers.ts";

/**
 * Merges a room's state and members, fetched from the homeserver, with events that arrive at the same time. A row set
 * since the load began, by an event or a query to the homeserver, is newer than the fetched one and stays
 * (`changes.ts`). A row that the fetched state does not have, and that nothing has set since, is removed at the end.
 */
export class LoadStore extends Store {
  readonly #rooms: RoomNumbers;
  readonly #changes: ChangeWriter;
  readonly #due = this.sql<[number, number], { roomId: RoomId; load: string }>(`
    SELECT room_id AS roomId, load FROM rooms
    WHERE load IN ('wanted', 'stale') AND load_at <= ? ORDER BY load_at LIMIT ?`);
  readonly #nextDue = this.value<[], number | null>("SELECT min(load_at) FROM rooms WHERE load IN ('wanted', 'stale')");
  readonly #begin = this.sql<[number], { generation: number; asks: number; checked_at: number | null }>(`
    UPDATE rooms SET load_generation = load_generation + 1 WHERE nr = ?
    RETURNING load_generation AS generation, load_asks AS asks, checked_at`);
  readonly #lastSeq = this.value<[], number>(`SELECT ${LAST_SEQ}`);
  readonly #dropMembers = this.sql<[number, number, number]>(`
    DELETE FROM members WHERE room_nr = ? AND generation <> ? AND seq <= ?`);
  readonly #dropState = this.sql<[number, number, number]>(`
    DELETE FROM room_state WHERE room_nr = ? AND generation <> ? AND seq <= ?`);
  readonly #close = this.sql<[number, number, number]>(`
    UPDATE rooms SET
      load = CASE WHEN own_membership IS NOT 'join' THEN 'stale' WHEN load_asks > ? THEN 'wanted' ELSE 'loaded' END,
      checked_at = ?,
      joined_members = (SELECT count(*) FROM members WHERE room_nr = nr AND membership = 'join')
    WHERE nr = ?`);
  readonly #postpone = this.sql<[number, number]>("UPDATE rooms SET load_at = ? WHERE nr = ?");
  readonly #dropSome = this.sql<[number, number]>(`
    DELETE FROM members WHERE (room_nr, user_id) IN (
      SELECT m.room_nr, m.user_id FROM members m JOIN rooms r ON r.nr = m.room_nr
      WHERE m.room_nr = ? AND r.load = 'stale' AND m.event_id <> coalesce(r.own_event, '') LIMIT ?)`);
  readonly #dropped = this.sql<[number]>(`
    UPDATE rooms SET load = 'none', checked_at = NULL, joined_members = 0 WHERE nr = ? AND load = 'stale'`);

  constructor(db: Database, rooms: RoomNumbers, changes: ChangeWriter) {
    super(db);
    this.#rooms = rooms;
    this.#changes = changes;
  }

  /** Returns due rooms to load or to drop, at most `limit`. */
  async due(now: number, limit: number): Promise<readonly { readonly roomId: RoomId; readonly drop: boolean }[]> {
    return this.#due.all(now, limit).map(({ roomId, load }) => ({ roomId, drop: load === "stale" }));
  }

  /** Returns when the next one is due; null if there is none. */
  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  async begin(roomId: RoomId): Promise<LoadTicket> {
    return this.commit(() => {
      const begun = this.#begin.get(this.#rooms.take(roomId));
      if (begun === undefined) throw new Error("UPDATE … RETURNING returned nothing");
      const { generation, asks, checked_at } = begun;
      return { roomId, generation, fromSeq: this.#lastSeq.get() ?? 0, asks, again: checked_at !== null };
    });
  }

  /** Writes a part of the fetched state in one commit. Returns the number of rows that differed or were missing. */
  async part(ticket: LoadTicket, changes: readonly LedgerChange[], now: number): Promise<number> {
    return this.commit(() => this.#changes.applyLoaded(changes, ticket, now));
  }

  /**
   * Removes rows that the fetched state does not have, and returns their number. Marks the room as loaded if we are
   * still in it and no gap was found meanwhile.
   */
  async finish({ roomId, generation, fromSeq, asks, again }: LoadTicket, now: number): Promise<number> {
    return this.commit(() => {
      const nr = this.#rooms.take(roomId);
      const members = this.#dropMembers.run(nr, generation, fromSeq).changes;
      const fields = this.#dropState.run(nr, generation, fromSeq).changes;
      this.#close.run(asks, now, nr);
      this.#changes.loaded(nr, roomId, !again || members + fields > 0, now);
      return members + fields;
    });
  }

  /** Postpones a failed load. */
  async postpone(roomId: RoomId, at: number): Promise<void> {
    this.commit(() => this.#postpone.run(at, this.#rooms.take(roomId)));
  }

  /** Drops members of a room that we left, at most `limit`; our own row stays. Returns true when none is left to drop. */
  async drop(roomId: RoomId, limit: number): Promise<boolean> {
    return this.commit(() => {
      const nr = this.#rooms.take(roomId);
      if (this.#dropSome.run(nr, limit).changes > 0) return false;
      this.#dropped.run(nr);
      return true;
    });
  }
}
