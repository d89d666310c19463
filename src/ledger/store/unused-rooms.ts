import { Store } from "../../storage/store.ts";

/** Rooms and member rows removed in one commit, so that no transaction of the homeserver waits long for its own. */
const ROOMS = 200;
const MEMBERS = 5_000;

/** Why a room that we are not in is kept, besides recent news of it. */
const IS_HELD = [
  "r.load IN ('wanted', 'stale')",
  "EXISTS (SELECT 1 FROM attendance a WHERE a.room_nr = r.nr AND a.next_at IS NOT NULL)",
  // The holder of an ended lease may still ask why it ended. A tenant may still have to get the events it covers. The
  // newest change numbers the next one.
  "EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = r.nr AND (l.ended_at IS NULL OR l.ended_at >= @before " +
    "OR l.change = (SELECT max(change) FROM leases) OR EXISTS (SELECT 1 FROM cursors c " +
    "WHERE l.kind = 'tenant' AND c.consumer = 'tenant:' || l.holder AND c.seq < l.to_seq)))",
  "EXISTS (SELECT 1 FROM aliases n WHERE n.room_id = r.room_id)",
  "EXISTS (SELECT 1 FROM cool_downs d WHERE d.room_nr = r.nr AND d.forget_at > @now)",
  "(r.own_membership IS 'invite' AND r.invite_at IS NOT NULL AND r.changed_at >= @before)",
  // The tenant that a room was made for stands in the first of its predecessors, and is found from one to the next.
  "EXISTS (SELECT 1 FROM room_state s WHERE s.room_nr = r.nr AND s.value IS NOT NULL AND (s.field = 'created_for' " +
    "OR (s.field = 'replacement' AND EXISTS (SELECT 1 FROM rooms t WHERE t.room_id = s.value AND t.own_membership = 'join'))))",
].join(" OR ");

/** A room's dependent rows besides its members; they are removed before the room. */
const PARTS = ["persona_rooms", "leases", "attendance", "cool_downs", "room_state"] as const;

interface Bounds {
  readonly now: number;
  readonly before: number;
  readonly limit: number;
}

const OUTSIDE = "FROM rooms r WHERE r.own_membership IS NOT 'join'";

/** Removes unused rooms: we are not in them, they have no lease, and nothing is under way. */
export class SqliteUnusedRoomStore extends Store {
  readonly #count = this.value<[], number>(`SELECT count(*) ${OUTSIDE}`);
  readonly #old = this.value<[Bounds], number>(`
    SELECT r.nr ${OUTSIDE} AND r.changed_at < @before AND NOT (${IS_HELD}) ORDER BY r.changed_at LIMIT @limit`);
  readonly #oldest = this.value<[Bounds], number>(`
    SELECT r.nr ${OUTSIDE} AND NOT (${IS_HELD}) ORDER BY r.changed_at LIMIT @limit`);
  readonly #members = this.sql<[number, number, number]>(`
    DELETE FROM members WHERE room_nr = ? AND user_id IN (SELECT user_id FROM members WHERE room_nr = ? LIMIT ?)`);
  readonly #parts = PARTS.map((table) => this.sql<[number]>(`DELETE FROM ${table} WHERE room_nr = ?`));
  readonly #room = this.sql<[number]>("DELETE FROM rooms WHERE nr = ?");

  /**
   * Removes some unused rooms and everything known of them, in one commit: those not heard of since `before`, and the
   * oldest others while we know more than `kept` rooms that we are not in.
   */
  async forget(
    now: number,
    before: number,
    kept: number,
  ): Promise<{ readonly rooms: number; readonly isMore: boolean }> {
    return this.commit(() => {
      const tooMany = (this.#count.get() ?? 0) - kept;
      const old = this.#old.all({ now, before, limit: ROOMS });
      const limit = Math.min(ROOMS, tooMany);
      const going = old.length > 0 || limit <= 0 ? old : this.#oldest.all({ now, before, limit });
      const rooms = this.#remove(going);
      return { rooms, isMore: rooms < going.length || going.length === ROOMS };
    });
  }

  /** Returns the number removed. The rooms' members are also bounded per commit. */
  #remove(rooms: readonly number[]): number {
    let members = MEMBERS;
    for (const [index, nr] of rooms.entries()) {
      members -= this.#members.run(nr, nr, members).changes;
      if (members === 0) return index;
      for (const part of this.#parts) part.run(nr);
      this.#room.run(nr);
    }
    return rooms.length;
  }
}
