import type { Database, Statement } from "better-sqlite3";
import type { RoomField } from "../../ledger/fold.ts";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../../ledger/follower.ts";
import type { RoomId, ServerName } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { SqliteCoolDownStore } from "../../policy/store/cool-downs.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

/** The fields of a room's state that matter to policy. */
const WEIGHED: ReadonlySet<RoomField> = new Set([
  "join_rule",
  "history_visibility",
  "server_acl",
  "alias",
  "creator",
  "version",
]);

/** Reason if no member of the room put us out and we did not ask to leave. */
const WITHDRAWN =
  "taken out at its own homeserver and not by Emissary: the room was deleted there, the account was deactivated, or somebody used its token";

/** The consequences of facts for leases and for the pseudouser's attendance. */
export class LeaseFollower implements LedgerFollower {
  readonly #rooms: RoomNumbers;
  readonly #leases: LeaseBook;
  readonly #coolDowns: SqliteCoolDownStore;
  readonly #asked: Statement<[number], number>;
  readonly #out: Statement<[number]>;

  constructor(db: Database, rooms: RoomNumbers, leases: LeaseBook, coolDowns: SqliteCoolDownStore) {
    this.#rooms = rooms;
    this.#leases = leases;
    this.#coolDowns = coolDowns;
    this.#asked = db.prepare<[number], number>("SELECT leave_asked FROM attendance WHERE room_nr = ?").pluck();
    this.#out = db.prepare("UPDATE attendance SET leave_asked = 0 WHERE room_nr = ? AND leave_asked = 1");
  }

  own({ nr, roomId }: NumberedRoom, change: OwnChange, { now }: Moment): void {
    const { was, membership, sender } = change;
    if (membership === "join" && was !== "join") this.#leases.entered(nr);
    const end = this.#endOf(nr, change);
    if (membership !== "join") this.#out.run(nr);
    if (end !== null) {
      const why = end === "withdrawn" ? WITHDRAWN : `${end} by ${sender ?? "somebody"}`;
      this.#leases.endAll(nr, end, { code: end, reason: why }, now);
      this.#coolDowns.strikeNow(nr, roomId, "put-out", `the pseudouser was ${why}`, now);
    }
    // A member who may invite wants us back.
    if (membership === "invite") this.#coolDowns.endNow(nr, "put-out", now);
    if (membership === "invite") this.#leases.wakeKnown(nr, now);
    else this.#leases.wake(nr, now);
    this.#leases.mayReplace(roomId, now);
  }

  state({ nr }: NumberedRoom, field: RoomField, now: number): void {
    if (WEIGHED.has(field)) this.#leases.review(nr, now);
  }

  people({ nr }: NumberedRoom, now: number): void {
    this.#leases.reviewVouchers(nr, now);
  }

  replaced({ nr }: NumberedRoom, replacement: RoomId, via: readonly ServerName[], now: number): void {
    if (!this.#leases.replaced(nr, now)) return;
    this.#rooms.learnVia(this.#rooms.take(replacement), [...via, ...this.#rooms.via(nr)]);
  }

  loaded({ nr, roomId }: NumberedRoom, isNew: boolean, now: number): void {
    this.#leases.mayReplace(roomId, now);
    // Until now it was judged by its view from outside.
    if (isNew) this.#leases.review(nr, now);
  }

  /** Returns how the room's leases end if somebody decided that we must not be there; else null. */
  #endOf(nr: number, { was, membership, ends }: OwnChange): LeaseEnd | null {
    if (ends === "banned") return ends;
    // A leave that ended no stay (an unban, an invite taken back or declined) puts nobody out.
    if (was !== "join" || membership !== "leave") return null;
    if (ends !== null) return ends;
    // Only the keeper leaves, and notes that first: a leave without a note is somebody else's decision.
    return this.#asked.get(nr) === 1 ? null : "withdrawn";
  }
}
