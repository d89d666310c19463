import type { Database, Statement } from "better-sqlite3";
import type { HiddenMembers } from "../masked.ts";

/** Counts the pseudousers in the ledger's rooms: ours, and other servers', whose IDs are all alike (MSC1777). */
export class PseudouserStore implements HiddenMembers {
  readonly #count: Statement<[string, string], { membership: string; count: number }>;

  constructor(db: Database) {
    // `@:` and `@;` bound all IDs with an empty localpart in the primary key's order.
    this.#count = db.prepare(
      "SELECT m.membership, count(*) AS count FROM rooms r JOIN members m ON m.room_nr = r.nr " +
        "WHERE r.room_id = ? AND ((m.user_id >= '@:' AND m.user_id < '@;') OR m.user_id = ?) " +
        "AND m.membership IN ('join', 'invite') GROUP BY m.membership",
    );
  }

  counts(roomId: string, own: string): { readonly joined: number; readonly invited: number } {
    let joined = 0;
    let invited = 0;
    for (const { membership, count } of this.#count.iterate(roomId, own)) {
      if (membership === "join") joined = count;
      else invited = count;
    }
    return { joined, invited };
  }
}
