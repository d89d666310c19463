import type { Database, Statement } from "better-sqlite3";
import type { DevicePeek, PeekStore } from "../msc2753/contracts.ts";
import { peekingUser, type Holder } from "../../model/lease.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Memo } from "../../storage/memo.ts";

/** Tokens kept for each device. A new one arrives before the old one is out of use. */
const TOKENS_KEPT = 4;

const IS_PEEKING =
  "EXISTS (SELECT 1 FROM leases l WHERE l.kind = 'peek' AND l.holder = p.device AND l.ended_at IS NULL)";

interface Row {
  room_id: string;
  change: number;
  present: number;
}

/** Cached answers to the questions of each sync. */
interface Known {
  readonly device: Memo<string | null>;
  readonly peeks: Memo<readonly DevicePeek[]>;
  readonly newest: Memo<number>;
}

/** Devices' peeks. They are leases; only the hashes of devices' tokens are stored besides. */
export class SqlitePeekStore implements PeekStore {
  readonly #db: Database;
  readonly #known: Known;
  readonly #deviceOf: Statement<[string], string>;
  readonly #remember: Statement<[string, string]>;
  readonly #forget: Statement<[]>;
  readonly #forgetOld: Statement<[string, string, number]>;
  readonly #peeksOf: Statement<[string], Row>;
  readonly #newest: Statement<[], number>;
  readonly #count: Statement<[string, string, string], number>;
  readonly #longestUnread: Statement<[string, number], string>;

  constructor(db: Database, known: Known) {
    this.#db = db;
    this.#known = known;
    this.#deviceOf = db
      .prepare<[string], string>(`SELECT p.device FROM peek_tokens p WHERE p.token_hash = ? AND ${IS_PEEKING}`)
      .pluck();
    this.#remember = db.prepare("INSERT OR REPLACE INTO peek_tokens (token_hash, device) VALUES (?, ?)");
    this.#forget = db.prepare(`DELETE FROM peek_tokens AS p WHERE NOT ${IS_PEEKING}`);
    this.#forgetOld = db.prepare(
      "DELETE FROM peek_tokens WHERE device = ? AND nr NOT IN " +
        "(SELECT nr FROM peek_tokens WHERE device = ? ORDER BY nr DESC LIMIT ?)",
    );
    this.#peeksOf = db.prepare(
      "SELECT r.room_id, l.change, r.own_membership IS 'join' AS present FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
        "WHERE l.kind = 'peek' AND l.holder = ? AND l.ended_at IS NULL ORDER BY l.id",
    );
    this.#newest = db.prepare<[], number>("SELECT coalesce(max(change), 0) FROM leases").pluck();
    // The name of a user's device begins with the user's and a full stop. In ASCII, a slash follows the full stop.
    this.#count = db
      .prepare<[string, string, string], number>(
        "SELECT count(DISTINCT room_nr) FROM leases WHERE kind = 'peek' " +
          "AND (holder = ? OR (holder >= ? || '.' AND holder < ? || '/')) AND ended_at IS NULL",
      )
      .pluck();
    this.#longestUnread = db
      .prepare<[string, number], string>(
        "SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
          "WHERE l.kind = 'peek' AND l.holder = ? AND l.ended_at IS NULL ORDER BY l.expires_at, l.id LIMIT ?",
      )
      .pluck();
  }

  async longestUnread(holder: string, limit: number): Promise<readonly RoomId[]> {
    return this.#longestUnread.all(holder, limit) as RoomId[];
  }

  async deviceOf(tokenHash: string): Promise<string | null> {
    return this.#known.device.get(tokenHash, () => this.#deviceOf.get(tokenHash) ?? null);
  }

  async remember(device: string, tokenHash: string): Promise<void> {
    if ((await this.deviceOf(tokenHash)) === device) return;
    this.#db
      .transaction(() => {
        this.#remember.run(tokenHash, device);
        this.#forget.run();
        this.#forgetOld.run(device, device, TOKENS_KEPT);
      })
      .immediate();
  }

  async peeksOf(device: string): Promise<readonly DevicePeek[]> {
    return this.#known.peeks.get(device, () => this.#readPeeks(device));
  }

  #readPeeks(device: string): readonly DevicePeek[] {
    return this.#peeksOf
      .all(device)
      .map(({ room_id, change, present }) => ({ roomId: room_id as RoomId, change, present: present === 1 }));
  }

  async newest(): Promise<number> {
    return this.#known.newest.get("", () => this.#newest.get() ?? 0);
  }

  async countOf({ name }: Holder): Promise<number> {
    const user = peekingUser(name);
    return this.#count.get(user, user, user) ?? 0;
  }
}
