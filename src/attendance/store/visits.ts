import type { Database, Statement } from "better-sqlite3";
import type { Visits } from "../linger.ts";
import type { RoomId } from "../../model/ids.ts";

/** A literal in SQL: a bound number would divide as a fraction. */
const HOUR = "(l.taken_at / 3600000)";

/** Counts visits of rooms by their peek leases. Ended ones are kept for longer than visits count (leases.ts). */
export class VisitStore implements Visits {
  readonly #hours: Statement<[string, number], number>;
  readonly #rooms: Statement<[], number>;

  constructor(db: Database) {
    this.#hours = db
      .prepare<[string, number], number>(
        `SELECT count(DISTINCT ${HOUR}) FROM rooms r JOIN leases l ON l.room_nr = r.nr ` +
          "WHERE r.room_id = ? AND l.kind = 'peek' AND l.taken_at >= ?",
      )
      .pluck();
    this.#rooms = db.prepare<[], number>("SELECT count(*) FROM rooms WHERE own_membership = 'join'").pluck();
  }

  async hours(roomId: RoomId, since: number): Promise<number> {
    return this.#hours.get(roomId, since) ?? 0;
  }

  async rooms(): Promise<number> {
    return this.#rooms.get() ?? 0;
  }
}
