import type { Database } from "better-sqlite3";
import { Store } from "../../storage/store.ts";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../follower.ts";

/** Own membership events remembered per room before their transactions arrive: more than we move meanwhile. */
const SEEN = 32;

/** Requests a load of a room; the time is to be bound. */
export const ASK_LOAD = "load = 'wanted', load_at = ?, load_asks = load_asks + 1";

/** The pseudouser's own membership, whatever a change comes from. Call its methods inside a transaction. */
export class Stays extends Store {
  readonly #followers: readonly LedgerFollower[];
  readonly #own = this.sql<[string, string | null, string | null, number, number]>(`
    UPDATE rooms SET own_membership = ?, own_event = ?, own_reason = ?, changed_at = ? WHERE nr = ?`);
  readonly #stale = this.sql<[number, number]>("UPDATE rooms SET load = 'stale', load_at = ? WHERE nr = ?");
  readonly #ask = this.sql<[number, number]>(`UPDATE rooms SET ${ASK_LOAD} WHERE nr = ?`);
  readonly #seen = this.value<[number], string>("SELECT own_seen FROM rooms WHERE nr = ?");
  readonly #setSeen = this.sql<[string, number]>("UPDATE rooms SET own_seen = ? WHERE nr = ?");
  /** Fields that may have changed since we left. Fields that never change in a room are kept. */
  readonly #forget = this.sql<[number]>(`
    DELETE FROM room_state
    WHERE room_nr = ? AND field IN ('join_rule', 'history_visibility', 'server_acl', 'alias')`);

  constructor(db: Database, followers: readonly LedgerFollower[]) {
    super(db);
    this.#followers = followers;
  }

  /** Requests a load of the room, at a time. */
  ask(nr: number, at: number): void {
    this.#ask.run(at, nr);
  }

  /**
   * Returns whether an event is news. Each of our moves is queried at once, and its transaction may arrive after the
   * next moves: an event that was in an answer has already had its consequences.
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
      // Values learnt from outside the room belong to an earlier stay. The load brings the present ones.
      this.#forget.run(nr);
      this.ask(nr, moment.now);
    }
    if (membership !== "join" && was === "join") this.#stale.run(moment.now, nr);
    for (const follower of this.#followers) follower.own?.(room, change, moment);
  }
}
