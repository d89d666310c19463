import type { Database } from "better-sqlite3";
import { afterStrike, type CoolDown, type CoolDownCode, type Strikes } from "../cool-down.ts";
import type { RoomId } from "../../model/ids.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { Memo, type WriteCount } from "../../storage/memo.ts";
import { Store } from "../../storage/store.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

/** Most rows kept. Beyond that, the rows that would be forgotten soonest are deleted. */
const KEPT = 10_000;

/** Rooms that we keep away from. */
export class CoolDownStore extends Store {
  readonly #rooms: RoomNumbers;
  readonly #audit: AuditStore;
  readonly #longest: Memo<CoolDown | null>;
  readonly #of = this.sql<[string], CoolDown>(
    "SELECT c.code, c.reason, c.strikes, c.until FROM cool_downs c JOIN rooms r ON r.nr = c.room_nr " +
      "WHERE r.room_id = ? ORDER BY c.until DESC LIMIT 1",
  );
  readonly #counts = this.sql<[number], { code: string; count: number }>(
    "SELECT code, count(*) AS count FROM cool_downs WHERE until > ? GROUP BY code",
  );
  readonly #last = this.sql<[number, string], Strikes>(
    "SELECT strikes, until, forget_at AS forgetAt FROM cool_downs WHERE room_nr = ? AND code = ?",
  );
  readonly #put = this.sql<[number, string, string, number, number, number]>(
    "INSERT OR REPLACE INTO cool_downs (room_nr, code, reason, strikes, until, forget_at) VALUES (?, ?, ?, ?, ?, ?)",
  );
  readonly #end = this.sql<[{ nr: number; code: string; now: number }]>(
    "UPDATE cool_downs SET until = min(until, @now) WHERE room_nr = @nr AND code = @code AND until > @now",
  );
  readonly #forget = this.sql<[number]>("DELETE FROM cool_downs WHERE forget_at <= ?");
  readonly #trim = this.sql<[number]>(`
    DELETE FROM cool_downs WHERE (room_nr, code) IN (SELECT room_nr, code FROM cool_downs ORDER BY forget_at
      LIMIT max(0, (SELECT count(*) FROM cool_downs) - ?))`);

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore, writes: WriteCount) {
    super(db);
    this.#rooms = rooms;
    this.#audit = audit;
    this.#longest = new Memo(writes);
  }

  /** Returns the current cool-down, the longest if there are several, or null. */
  async of(roomId: RoomId, now: number): Promise<CoolDown | null> {
    const longest = this.#longest.get(roomId, () => this.#of.get(roomId) ?? null);
    return longest === null || longest.until <= now ? null : longest;
  }

  /** Counts the current cool-downs by code. */
  async counts(now: number): Promise<Readonly<Record<string, number>>> {
    return Object.fromEntries(this.#counts.all(now).map(({ code, count }) => [code, count]));
  }

  /** Starts a cool-down, longer than the last one if that was recent. */
  async strike(roomId: RoomId, code: CoolDownCode, reason: string, now: number): Promise<CoolDown> {
    return this.commit(() => this.strikeNow(this.#rooms.take(roomId), roomId, code, reason, now));
  }

  /** Does the same inside the caller's transaction. */
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
