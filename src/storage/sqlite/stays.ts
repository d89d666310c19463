import type { Database, Statement } from "better-sqlite3";
import type { LedgerChange } from "../../ledger/fold.ts";
import type { RoomId } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { Membership } from "../../model/membership.ts";
import type { SqliteCoolDownStore } from "./cool-down-store.ts";
import type { LeaseBook } from "./lease-book.ts";

type MemberChange = Extract<LedgerChange, { kind: "member" }>;

/** Our membership as it was before a change. */
export interface Standing {
  readonly nr: number;
  readonly roomId: RoomId;
  readonly was: Membership | null;
}

/** What the homeserver tells of our membership; `eventId` is null where it gives no event. */
export type OwnChange = Pick<MemberChange, "ends" | "reason" | "claims"> &
  Pick<MemberChange["member"], "membership"> & { readonly eventId: string | null; readonly sender: string | null };

/** Fields that others may have changed since we left. What never changes in a room stays. */
const HEARSAY = ["join_rule", "history_visibility", "server_acl", "alias"] as const;

/** Nobody in the room put us out, and we did not ask to leave. */
const WITHDRAWN =
  "taken out at its own homeserver and not by Emissary: the room was deleted there, the account was deactivated, or somebody used its token";

/** Events of our membership in one room that are known before their transactions. Nobody moves more often while these are late. */
const SEEN = 32;

/**
 * The pseudouser's own membership, and what follows from a change of it, however that was learnt: by an event, a load, or because the
 * homeserver was asked. Every call is made inside a transaction of the caller.
 */
export class Stays {
  readonly #leases: LeaseBook;
  readonly #coolDowns: SqliteCoolDownStore;
  readonly #own: Statement<[string, string | null, string | null, number, string, number, string | null, number]>;
  readonly #stale: Statement<[number, number]>;
  readonly #ask: Statement<[number, number]>;
  readonly #asked: Statement<[number], number>;
  readonly #out: Statement<[number]>;
  readonly #forget: Statement<[number]>;
  readonly #entered: Statement<[{ eventId: string | null; seq: number; now: number; nr: number }]>;
  readonly #left: Statement<[string | null, number]>;
  readonly #seen: Statement<[number], string>;
  readonly #setSeen: Statement<[string, number]>;

  constructor(db: Database, leases: LeaseBook, coolDowns: SqliteCoolDownStore) {
    this.#leases = leases;
    this.#coolDowns = coolDowns;
    this.#own = db.prepare(
      "UPDATE rooms SET own_membership = ?, own_event = ?, own_reason = ?, changed_at = ?, " +
        "invite_at = CASE WHEN ? = 'invite' THEN ? END, claims = ? WHERE nr = ?",
    );
    this.#stale = db.prepare("UPDATE rooms SET load = 'stale', load_at = ? WHERE nr = ?");
    this.#ask = db.prepare("UPDATE rooms SET load = 'wanted', load_at = ?, load_asks = load_asks + 1 WHERE nr = ?");
    this.#asked = db.prepare<[number], number>("SELECT leave_asked FROM attendance WHERE room_nr = ?").pluck();
    this.#out = db.prepare("UPDATE attendance SET leave_asked = 0 WHERE room_nr = ? AND leave_asked = 1");
    this.#entered = db.prepare(
      "UPDATE rooms SET compared_event = @eventId, compared_seq = @seq, compared_at = @now, " +
        "fill_at = CASE WHEN left_event IS NOT NULL THEN @now END, fill_tries = 0 WHERE nr = @nr",
    );
    // Of several stays the first: what was said since is fetched back to there.
    this.#left = db.prepare("UPDATE rooms SET left_event = coalesce(left_event, ?), fill_at = NULL WHERE nr = ?");
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

  changed(
    { nr, roomId, was }: Standing,
    change: OwnChange,
    { seq, now }: { readonly seq: number; readonly now: number },
  ): void {
    const { membership, eventId, reason, claims } = change;
    this.#own.run(membership, eventId, reason, now, membership, now, claims, nr);
    if (membership === "join" && was !== "join") {
      // Whatever was heard of the room from outside is of an earlier stay. The load brings what is true of it.
      this.#forget.run(nr);
      this.ask(nr, now);
      this.#entered.run({ eventId, seq, now, nr });
      this.#leases.entered(nr);
    }
    if (membership !== "join" && was === "join") {
      this.#stale.run(now, nr);
      this.#left.run(eventId, nr);
    }
    const end = this.#endOf(nr, was, change);
    if (membership !== "join") this.#out.run(nr);
    if (end !== null) {
      const why = end === "withdrawn" ? WITHDRAWN : `${end} by ${change.sender ?? "somebody"}`;
      this.#leases.endAll(nr, end, { code: end, reason: why }, now);
      this.#coolDowns.strikeNow(nr, roomId, "put-out", `the pseudouser was ${why}`, now);
    }
    // Whoever may invite us wants us back.
    if (membership === "invite") this.#coolDowns.endNow(nr, "put-out", now);
    if (membership === "invite") this.#leases.wakeKnown(nr, now);
    else this.#leases.wake(nr, now);
    this.#leases.mayReplace(roomId, now);
  }

  /** How the leases of the room end, where this is somebody's decision that we are not to be there; else null. */
  #endOf(nr: number, was: Membership | null, { membership, ends }: OwnChange): LeaseEnd | null {
    if (ends === "banned") return ends;
    // A leave that was no end of a stay (an unban, an invite taken back or declined) puts nobody out.
    if (was !== "join" || membership !== "leave") return null;
    if (ends !== null) return ends;
    // Only the keeper leaves, and it writes that before it asks for it: a leave that is not its own is somebody's decision.
    return this.#asked.get(nr) === 1 ? null : "withdrawn";
  }
}
