import type { Database, Statement } from "better-sqlite3";
import { peekingUser, type Holder } from "../model/lease.ts";
import type { RoomId } from "../model/ids.ts";
import type { Memo } from "../storage/memo.ts";

/** Tokens kept for each device. A new one arrives before the old one is out of use. */
const TOKENS_KEPT = 4;

const IS_PEEKING =
  "EXISTS (SELECT 1 FROM leases l WHERE l.kind = 'peek' AND l.holder = p.device AND l.ended_at IS NULL)";

export interface DevicePeek {
  readonly roomId: RoomId;
  /** Differs for each peek, and after the pseudouser was out of the room in between. */
  readonly change: number;
  /** Whether the pseudouser is in the room. */
  readonly present: boolean;
}

/** Cached answers to the questions of each sync. */
interface Known {
  readonly device: Memo<string | null>;
  readonly peeks: Memo<readonly DevicePeek[]>;
  readonly newest: Memo<number>;
}

/** Devices' peeks, which are leases. Besides, only hashes of devices' tokens are stored: no user's name, no token. */
export class PeekStore {
  readonly #db: Database;
  readonly #known: Known;
  readonly #deviceOf: Statement<[string], string>;
  readonly #remember: Statement<[string, string]>;
  readonly #forget: Statement<[]>;
  readonly #forgetOld: Statement<[string, string, number]>;
  readonly #peeksOf: Statement<[string], { room_id: RoomId; change: number; present: number }>;
  readonly #newest: Statement<[], number>;
  readonly #count: Statement<[string, string, string], number>;
  readonly #longestUnread: Statement<[string, number], RoomId>;

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
      .prepare<[string, number], RoomId>(
        "SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
          "WHERE l.kind = 'peek' AND l.holder = ? AND l.ended_at IS NULL ORDER BY l.expires_at, l.id LIMIT ?",
      )
      .pluck();
  }

  /** Returns the device by its token's hash; null if no peeking device has used the token. */
  async deviceOf(tokenHash: string): Promise<string | null> {
    return this.#known.device.get(tokenHash, () => this.#deviceOf.get(tokenHash) ?? null);
  }

  /** Stores a peeking device's token. Forgets devices without peeks, and all but the device's newest few tokens. */
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
    return this.#known.peeks.get(device, () =>
      this.#peeksOf.all(device).map((row) => ({ roomId: row.room_id, change: row.change, present: row.present === 1 })),
    );
  }

  /** Returns a number that changes when a peek begins or ends, or when the pseudouser enters a room. */
  async newest(): Promise<number> {
    return this.#known.newest.get("", () => this.#newest.get() ?? 0);
  }

  /** Returns how many rooms the holder's user looks into, on all devices and in every way. */
  async countOf({ name }: Holder): Promise<number> {
    const user = peekingUser(name);
    return this.#count.get(user, user, user) ?? 0;
  }

  /** Returns the rooms in which the holder has a lease, the least recently read first. */
  async longestUnread(holder: string, limit: number): Promise<readonly RoomId[]> {
    return this.#longestUnread.all(holder, limit);
  }
}

/** Counts the pseudousers in the ledger's rooms: ours, and other servers', whose IDs are all alike (MSC1777). */
export class PseudouserStore {
  readonly #count: Statement<[string, string], { joined: number; invited: number }>;

  constructor(db: Database) {
    // `@:` and `@;` bound all IDs with an empty localpart in the primary key's order.
    this.#count = db.prepare(
      "SELECT count(*) FILTER (WHERE m.membership = 'join') AS joined, " +
        "count(*) FILTER (WHERE m.membership = 'invite') AS invited FROM rooms r JOIN members m ON m.room_nr = r.nr " +
        "WHERE r.room_id = ? AND ((m.user_id >= '@:' AND m.user_id < '@;') OR m.user_id = ?)",
    );
  }

  /** Counts joined and invited pseudousers; `own` is one. Synchronous: called for each room as an answer is written. */
  counts(roomId: string, own: string): { readonly joined: number; readonly invited: number } {
    return this.#count.get(roomId, own) ?? { joined: 0, invited: 0 };
  }
}
