import type { Database, Statement } from "better-sqlite3";
import type { RoomId } from "../../model/ids.ts";
import type { CoolDown, CoolDownCode, CoolDowns } from "../../policy/cool-downs.ts";

interface Row {
  code: string;
  reason: string;
  strikes: number;
  until: number;
}

export class SqliteCoolDownStore implements CoolDowns {
  readonly #of: Statement<[string, number], Row>;

  constructor(db: Database) {
    this.#of = db.prepare(
      "SELECT c.code, c.reason, c.strikes, c.until FROM cool_downs c JOIN rooms r ON r.nr = c.room_nr WHERE r.room_id = ? AND c.until > ?",
    );
  }

  async of(roomId: RoomId, now: number): Promise<CoolDown | null> {
    const row = this.#of.get(roomId, now);
    return row === undefined ? null : { ...row, code: row.code as CoolDownCode };
  }
}
