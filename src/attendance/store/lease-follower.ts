import type { Database } from "better-sqlite3";
import type { RoomField } from "../../ledger/fold.ts";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../../ledger/follower.ts";
import type { RoomId, ServerName } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { CoolDownStore } from "../../policy/store/cool-downs.ts";
import { Store } from "../../storage/store.ts";
import { ASK_UPGRADE, HAS_FOLLOWERS, NEXT_CHANGE, type LeaseBook } from "./lease-book.ts";

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
export class LeaseFollower extends Store implements LedgerFollower {
  readonly #book: LeaseBook;
  readonly #coolDowns: CoolDownStore;
  readonly #asked = this.value<[number], number>("SELECT leave_asked FROM attendance WHERE room_nr = ?");
  readonly #out = this.sql<[number]>("UPDATE attendance SET leave_asked = 0 WHERE room_nr = ? AND leave_asked = 1");
  readonly #entered = this.sql<[number]>(
    `UPDATE leases SET change = ${NEXT_CHANGE} WHERE room_nr = ? AND ended_at IS NULL`,
  );
  readonly #invited = this.sql<[number, number, number]>(
    "INSERT INTO attendance (room_nr, phase, since, next_at) VALUES (?, 'absent', ?, NULL) " +
      "ON CONFLICT (room_nr) DO UPDATE SET next_at = ?, revision = revision + 1",
  );
  readonly #mayReplace = this.sql<[{ now: number; roomId: string }]>(
    `${ASK_UPGRADE}, upgrade_since = coalesce(upgrade_since, @now) WHERE nr IN ` +
      `(SELECT room_nr FROM room_state WHERE field = 'replacement' AND value = @roomId) AND ${HAS_FOLLOWERS}`,
  );
  readonly #version = this.value<[number], string | null>(
    "SELECT value FROM room_state WHERE room_nr = ? AND field = 'version'",
  );

  constructor(db: Database, book: LeaseBook, coolDowns: CoolDownStore) {
    super(db);
    this.#book = book;
    this.#coolDowns = coolDowns;
  }

  own({ nr, roomId }: NumberedRoom, change: OwnChange, { now }: Moment): void {
    const { was, membership, sender } = change;
    if (membership === "join" && was !== "join") this.#entered.run(nr);
    const end = this.#endOf(nr, change);
    if (membership !== "join") this.#out.run(nr);
    if (end !== null) {
      const why = end === "withdrawn" ? WITHDRAWN : `${end} by ${sender ?? "somebody"}`;
      this.#book.endAll(nr, end, { code: end, reason: why }, now);
      this.#coolDowns.strikeNow(nr, roomId, "put-out", `the pseudouser was ${why}`, now);
    }
    if (membership === "invite") {
      // A member who may invite wants us back.
      this.#coolDowns.endNow(nr, "put-out", now);
      // Wakes the keeper only if the room ever had work.
      this.#invited.run(nr, now, now);
      this.#book.rooms.hear(nr, now);
    } else this.#book.wake(nr, now);
    this.#mayReplace.run({ roomId, now });
  }

  state({ nr }: NumberedRoom, field: RoomField, now: number): void {
    if (WEIGHED.has(field)) this.#book.review(nr, now);
  }

  people({ nr }: NumberedRoom, now: number): void {
    // In MSC1777's versions members matter: a user vouches for the pseudouser of its server.
    if (this.#version.get(nr)?.startsWith("org.matrix.msc1777.") === true) this.#book.review(nr, now);
  }

  replaced({ nr }: NumberedRoom, replacement: RoomId, via: readonly ServerName[], now: number): void {
    if (!this.#book.replaced(nr, now)) return;
    this.#book.rooms.learnVia(this.#book.rooms.take(replacement), [...via, ...this.#book.rooms.via(nr)]);
  }

  /** The load may show whether this room replaces another, so the result of a look may differ now. */
  loaded({ nr, roomId }: NumberedRoom, isNew: boolean, now: number): void {
    this.#mayReplace.run({ roomId, now });
    // Until now it was judged by its view from outside.
    if (isNew) this.#book.review(nr, now);
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
