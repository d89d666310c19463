import type { Database, Statement } from "better-sqlite3";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../follower.ts";

/** Fields that others may have changed since we left. What never changes in a room stays. */
const HEARSAY = ["join_rule", "history_visibility", "server_acl", "alias"] as const;

/** Events of our membership in one room that are known before their transactions. Nobody moves more often while these are late. */
const SEEN = 32;

/** Has a room loaded: a time is to be bound. */
export const ASK_LOAD = "load = 'wanted', load_at = ?, load_asks = load_asks + 1";

/**
 * The pseudouser's own membership, however a change of it was learnt: by an event, a load, or because the homeserver was asked. Every call
 * is made inside a transaction of the caller.
 */
export class Stays {
  readonly #followers: readonly LedgerFollower[];
  readonly #own: Statement<[string, string | null, string | null, number, number]>;
  readonly #stale: Statement<[number, number]>;
  readonly #ask: Statement<[number, number]>;
  readonly #forget: Statement<[number]>;
  readonly #seen: Statement<[number], string>;
  readonly #setSeen: Statement<[string, number]>;

  constructor(db: Database, followers: readonly LedgerFollower[]) {
    this.#followers = followers;
    this.#own = db.prepare(
      "UPDATE rooms SET own_membership = ?, own_event = ?, own_reason = ?, changed_at = ? WHERE nr = ?",
    );
    this.#stale = db.prepare("UPDATE rooms SET load = 'stale', load_at = ? WHERE nr = ?");
    this.#ask = db.prepare(`UPDATE rooms SET ${ASK_LOAD} WHERE nr = ?`);
    this.#seen = db.prepare<[number], string>("SELECT own_seen FROM rooms WHERE nr = ?").pluck();
    this.#setSeen = db.prepare("UPDATE rooms SET own_seen = ? WHERE nr = ?");
    this.#forget = db.prepare(
      `DELETE FROM room_state WHERE room_nr = ? AND field IN (${HEARSAY.map((field) => `'${field}'`).join(", ")})`,
    );
  }

  /** Has the room loaded, at a time. */
  ask(nr: number, at: number): void {
    this.#ask.run(at, nr);
  }

  /**
   * Whether an event is more than history. Each move of ours is asked about at once, and the transactions that tell of it may come after
   * the next ones: what an answer told already has had its consequences.
   */
  isNews(nr: number, eventId: string, isAnswer: boolean): boolean {
    const seen = JSON.parse(this.#seen.get(nr) ?? "[]") as string[];
    if (!isAnswer) return !seen.includes(eventId);
    this.#setSeen.run(JSON.stringify([...seen, eventId].slice(-SEEN)), nr);
    return true;
  }

  changed(room: NumberedRoom, change: OwnChange, moment: Moment): void {
    const { nr } = room;
    const { was, membership, eventId, reason } = change;
    this.#own.run(membership, eventId, reason, moment.now, nr);
    if (membership === "join" && was !== "join") {
      // Whatever was heard of the room from outside is of an earlier stay. The load brings what is true of it.
      this.#forget.run(nr);
      this.ask(nr, moment.now);
    }
    if (membership !== "join" && was === "join") this.#stale.run(moment.now, nr);
    for (const follower of this.#followers) follower.own?.(room, change, moment);
  }
}
