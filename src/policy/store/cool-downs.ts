import type { Database, Statement } from "better-sqlite3";
import { afterStrike, type CoolDownCode, type Strikes } from "../cool-down.ts";
import type { RoomId } from "../../model/ids.ts";
import type { CoolDown, CoolDowns } from "../cool-downs.ts";
import type { AuditStore } from "../../storage/audit.ts";
import type { Memo } from "../../storage/memo.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

export interface CoolDownRow {
  code: string;
  reason: string;
  strikes: number;
  until: number;
}

/** Most rows kept. Beyond that, the rows that would be forgotten soonest are deleted. */
const KEPT = 10_000;

export class SqliteCoolDownStore implements CoolDowns {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #audit: AuditStore;
  readonly #of: Statement<[string], CoolDownRow>;
  readonly #longest: Memo<CoolDownRow | null>;
  readonly #counts: Statement<[number], { code: string; count: number }>;
  readonly #last: Statement<[number, string], Strikes>;
  readonly #put: Statement<[number, string, string, number, number, number]>;
  readonly #end: Statement<{ nr: number; code: string; now: number }>;
  readonly #forget: Statement<[number]>;
  readonly #trim: Statement<[number]>;

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore, longest: Memo<CoolDownRow | null>) {
    this.#db = db;
    this.#rooms = rooms;
    this.#audit = audit;
    this.#longest = longest;
    this.#of = db.prepare(
      "SELECT c.code, c.reason, c.strikes, c.until FROM cool_downs c JOIN rooms r ON r.nr = c.room_nr " +
        "WHERE r.room_id = ? ORDER BY c.until DESC LIMIT 1",
    );
    this.#counts = db.prepare("SELECT code, count(*) AS count FROM cool_downs WHERE until > ? GROUP BY code");
    this.#last = db.prepare(
      "SELECT strikes, until, forget_at AS forgetAt FROM cool_downs WHERE room_nr = ? AND code = ?",
    );
    this.#put = db.prepare(
      "INSERT OR REPLACE INTO cool_downs (room_nr, code, reason, strikes, until, forget_at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#end = db.prepare(
      "UPDATE cool_downs SET until = min(until, @now) WHERE room_nr = @nr AND code = @code AND until > @now",
    );
    this.#forget = db.prepare("DELETE FROM cool_downs WHERE forget_at <= ?");
    this.#trim = db.prepare(
      "DELETE FROM cool_downs WHERE (room_nr, code) IN (SELECT room_nr, code FROM cool_downs ORDER BY forget_at LIMIT max(0, (SELECT count(*) FROM cool_downs) - ?))",
    );
  }

  async of(roomId: RoomId, now: number): Promise<CoolDown | null> {
    const row = this.#longest.get(roomId, () => this.#of.get(roomId) ?? null);
    return row === null || row.until <= now ? null : { ...row, code: row.code as CoolDownCode };
  }

  async counts(now: number): Promise<Readonly<Record<string, number>>> {
    return Object.fromEntries(this.#counts.all(now).map(({ code, count }) => [code, count]));
  }

  async strike(roomId: RoomId, code: CoolDownCode, reason: string, now: number): Promise<CoolDown> {
    return this.#db.transaction(() => this.strikeNow(this.#rooms.take(roomId), roomId, code, reason, now)).immediate();
  }

  /** Records a strike inside the caller's transaction. */
  strikeNow(nr: number, roomId: RoomId, code: CoolDownCode, reason: string, now: number): CoolDown {
    const { strikes, until, forgetAt } = afterStrike(code, this.#last.get(nr, code) ?? null, now);
    this.#forget.run(now);
    this.#put.run(nr, code, reason, strikes, until, forgetAt);
    this.#trim.run(KEPT);
    const detail = { reason, strikes, until };
    this.#audit.write({ actor: "emissary", action: "room.cool-down", outcome: code, roomId, detail }, now);
    return { code, reason, strikes, until };
  }

  /** Whether a cool-down with this code is active. */
  lasts(nr: number, code: CoolDownCode, now: number): boolean {
    return (this.#last.get(nr, code)?.until ?? 0) > now;
  }

  /** Ends a cool-down inside the caller's transaction. Its strikes are remembered. */
  endNow(nr: number, code: CoolDownCode, now: number): void {
    this.#end.run({ nr, code, now });
  }
}
