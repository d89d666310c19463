import type { RoomId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

/** Counts visits of rooms by their peek leases. Ended ones are kept for longer than visits count (leases.ts). */
export class VisitStore extends Store {
  // The divisor is a literal: a bound number would divide as a fraction.
  readonly #hours = this.value<[string, number], number>(
    "SELECT count(DISTINCT l.taken_at / 3600000) FROM rooms r JOIN leases l ON l.room_nr = r.nr " +
      "WHERE r.room_id = ? AND l.kind = 'peek' AND l.taken_at >= ?",
  );
  readonly #rooms = this.value<[], number>("SELECT count(*) FROM rooms WHERE own_membership = 'join'");

  /** Returns in how many hours since a time a visit of the room began. */
  async hours(roomId: RoomId, since: number): Promise<number> {
    return this.#hours.get(roomId, since) ?? 0;
  }

  /** Returns how many rooms the pseudouser is in. */
  async rooms(): Promise<number> {
    return this.#rooms.get() ?? 0;
  }
}
