import type { Database, Statement } from "better-sqlite3";
import type { RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import { holderText, type LeaseEnd, type HolderKind } from "../../model/lease.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { LAST_SEQ } from "../../ledger/store/journal.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

/**
 * Leases that an upgrade may move. An alias's lease goes where the directory says, and an upgrade's own lease is only
 * for finding out. A condition on `leases l`.
 */
export const FOLLOWS = "l.ended_at IS NULL AND l.kind NOT IN ('alias', 'upgrade')";

/** Kinds of holders behind whom a caller waits for the room. */
export const WAITING_KINDS: readonly HolderKind[] = ["tenant", "peek", "operator"];

export const LEASE_COLUMNS = "id, room_nr, kind, holder, alias, taken_at, upgrades, expires_at";

export interface LeaseRow {
  id: number;
  room_nr: number;
  kind: string;
  holder: string;
  alias: string | null;
  taken_at: number;
  upgrades: number;
  expires_at: number | null;
}

export interface Refusal {
  readonly code: string;
  readonly reason: string;
  readonly atOnce: boolean;
}

/** Shortest time between two reviews of a room's leases, however often something changes. */
export const REVIEW_GAP_MS = 2_000;
/** Longest time from a verdict to the booking of its lease: the homeserver's answers have their time limits. */
const BOOKING_MS = 60_000;
const REVIEW =
  `review_at = coalesce(review_at, min(@now + ${REVIEW_GAP_MS}, max(@now, reviewed_at + ${REVIEW_GAP_MS}))), ` +
  "review_asks = review_asks + 1";
/** Requests a review of every attended room. Append a further condition to narrow it. */
export const REVIEW_ALL = `UPDATE rooms SET ${REVIEW}, weighed_at = @now WHERE own_membership = 'join'`;

/** Shortest time between two looks into a room's upgrade, however many tombstones arrive. */
export const UPGRADE_GAP_MS = 500;
const UPGRADE_NEXT = `min(@now + ${UPGRADE_GAP_MS}, max(@now, upgraded_at + ${UPGRADE_GAP_MS}))`;
const ASK_UPGRADE = `UPDATE rooms SET upgrade_at = coalesce(min(upgrade_at, ${UPGRADE_NEXT}), ${UPGRADE_NEXT}), upgrade_asks = upgrade_asks + 1`;
const HAS_FOLLOWERS = `EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = nr AND ${FOLLOWS})`;

const NEXT_CHANGE = "(SELECT coalesce(max(change), 0) + 1 FROM leases)";
/** Bind room, kind, holder, alias, time, upgrades, where it begins in the journal (null for its end), and expiry. */
export const INSERT_LEASE =
  "INSERT INTO leases (room_nr, kind, holder, alias, taken_at, upgrades, from_seq, change, expires_at) " +
  `VALUES (?, ?, ?, ?, ?, ?, coalesce(?, ${LAST_SEQ}), ${NEXT_CHANGE}, ?)`;

/**
 * Changes that several stores make to leases inside their own transactions: ending a room's leases, requesting a
 * review or a look into an upgrade, and waking the room's attendance. So a fact and its consequences are one commit.
 */
export class LeaseBook {
  readonly #rooms: RoomNumbers;
  readonly #audit: AuditStore;
  readonly #live: Statement<[number], LeaseRow>;
  readonly #end: Statement<[number, string, number]>;
  readonly #put: Statement<[number, string, string, string | null, number, number, number | null, number | null]>;
  readonly #entered: Statement<[number]>;
  readonly #putOut: Statement<[string, number]>;
  readonly #wake: Statement<[number, number, number, number]>;
  readonly #wakeKnown: Statement<[number, number, number]>;
  readonly #mark: Statement<{ code: string; reason: string; now: number; leaveAt: number | null; nr: number }>;
  readonly #review: Statement<{ now: number; nr: number }>;
  readonly #reviewLate: Statement<{ now: number; nr: number }>;
  readonly #replaced: Statement<{ now: number; nr: number }>;
  readonly #replacing: Statement<{ now: number; roomId: string }>;
  readonly #version: Statement<[number], string | null>;
  readonly #roomId: Statement<[number], string>;

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore) {
    this.#rooms = rooms;
    this.#audit = audit;
    this.#live = db.prepare(`SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL ORDER BY id`);
    this.#end = db.prepare(
      `UPDATE leases SET ended_at = ?, end_reason = ?, to_seq = ${LAST_SEQ}, change = ${NEXT_CHANGE} WHERE id = ?`,
    );
    this.#put = db.prepare(
      `${INSERT_LEASE} ON CONFLICT (room_nr, kind, holder) WHERE ended_at IS NULL DO UPDATE SET ` +
        "expires_at = excluded.expires_at, upgrades = excluded.upgrades, alias = coalesce(excluded.alias, alias)",
    );
    this.#entered = db.prepare(`UPDATE leases SET change = ${NEXT_CHANGE} WHERE room_nr = ? AND ended_at IS NULL`);
    this.#putOut = db.prepare("DELETE FROM persona_rooms WHERE tenant = ? AND room_nr = ?");
    this.#wake = db.prepare(
      "INSERT INTO attendance (room_nr, phase, since, next_at, hurry) VALUES (?, 'absent', ?, ?, ?) " +
        "ON CONFLICT (room_nr) DO UPDATE SET next_at = excluded.next_at, revision = revision + 1, hurry = max(hurry, excluded.hurry)",
    );
    this.#wakeKnown = db.prepare(
      "INSERT INTO attendance (room_nr, phase, since, next_at) VALUES (?, 'absent', ?, NULL) " +
        "ON CONFLICT (room_nr) DO UPDATE SET next_at = ?, revision = revision + 1",
    );
    this.#mark = db.prepare(
      "UPDATE attendance SET phase = 'refused', code = @code, reason = @reason, since = @now, retry_at = NULL, tries = 0, " +
        "leave_at = coalesce(@leaveAt, leave_at) WHERE room_nr = @nr",
    );
    this.#review = db.prepare(`${REVIEW_ALL} AND nr = @nr`);
    this.#reviewLate = db.prepare(
      `UPDATE rooms SET ${REVIEW} WHERE own_membership = 'join' AND nr = @nr AND weighed_at > @now - ${BOOKING_MS}`,
    );
    this.#replaced = db.prepare(
      `${ASK_UPGRADE}, upgrade_since = @now, upgrade_tries = 0 WHERE nr = @nr AND ${HAS_FOLLOWERS}`,
    );
    this.#replacing = db.prepare(
      `${ASK_UPGRADE}, upgrade_since = coalesce(upgrade_since, @now) WHERE nr IN ` +
        `(SELECT room_nr FROM room_state WHERE field = 'replacement' AND value = @roomId) AND ${HAS_FOLLOWERS}`,
    );
    this.#version = db
      .prepare<[number], string | null>("SELECT value FROM room_state WHERE room_nr = ? AND field = 'version'")
      .pluck();
    this.#roomId = db.prepare<[number], string>("SELECT room_id FROM rooms WHERE nr = ?").pluck();
  }

  /** Returns the live leases of a room, in the order in which they were taken. */
  liveOf(nr: number): readonly LeaseRow[] {
    return this.#live.all(nr);
  }

  /** Called when the pseudouser enters the room: this is a change for the holders of its leases. */
  entered(nr: number): void {
    this.#entered.run(nr);
  }

  /** Makes the keeper look at the room now, and before others if a caller waits for it. */
  wake(nr: number, now: number, isWaitedFor = false): void {
    this.#wake.run(nr, now, now, Number(isWaitedFor));
    this.#rooms.hear(nr, now);
  }

  /** Does the same, but only if the room ever had work. A room that we are only invited to has none. */
  wakeKnown(nr: number, now: number): void {
    this.#wakeKnown.run(nr, now, now);
    this.#rooms.hear(nr, now);
  }

  /** Requests a review of the room's leases: something changed that matters to policy. */
  review(nr: number, now: number): void {
    this.#review.run({ nr, now });
  }

  /**
   * Does the same after a change of members, if members matter in this room: in its version a user vouches for the
   * pseudouser of its server (MSC1777).
   */
  reviewVouchers(nr: number, now: number): void {
    if (this.#version.get(nr)?.startsWith("org.matrix.msc1777.") === true) this.review(nr, now);
  }

  /** @param from where a new lease begins in the journal; null for its end */
  put(
    lease: Pick<LeaseRow, "room_nr" | "kind" | "holder" | "alias" | "upgrades" | "expires_at">,
    from: number | null,
    now: number,
  ): void {
    const { room_nr, kind, holder, alias, upgrades, expires_at } = lease;
    this.#put.run(room_nr, kind, holder, alias, now, upgrades, from, expires_at);
    // The lease was judged earlier, and the facts behind the verdict may have changed meanwhile.
    this.#reviewLate.run({ nr: lease.room_nr, now });
  }

  /** Ends a lease. A tenant's users are in a room while its lease lives, so they leave with it. */
  endOne(lease: LeaseRow, end: LeaseEnd, now: number, detail: JsonObject = {}): void {
    this.#end.run(now, end, lease.id);
    if (lease.kind === "tenant") this.#putOut.run(lease.holder, lease.room_nr);
    this.#audit.write(
      {
        actor: holderText({ kind: lease.kind as HolderKind, name: lease.holder }),
        action: "lease.end",
        outcome: end,
        roomId: this.#roomIdOf(lease.room_nr),
        detail,
      },
      now,
    );
  }

  /** Ends a room's leases, up to the ID `upTo` if given, and notes the reason in its attendance. */
  endAll(nr: number, end: LeaseEnd, why: { code: string; reason: string; upTo?: number }, now: number): void {
    for (const lease of this.#live.all(nr)) {
      if (lease.id <= (why.upTo ?? Number.MAX_SAFE_INTEGER)) this.endOne(lease, end, now);
    }
    this.wake(nr, now);
    this.#mark.run({ code: why.code, reason: why.reason, now, leaveAt: null, nr });
  }

  /**
   * Ends some leases of a room that we are in, as refused. If none is left, notes the reason in the attendance, and
   * makes us leave: `atOnce`, or after the linger.
   */
  refuse(nr: number, leases: readonly LeaseRow[], why: Refusal, now: number): void {
    const { code, reason } = why;
    for (const lease of leases) this.endOne(lease, "refused", now, { code, reason });
    if (this.#live.get(nr) !== undefined) return;
    this.wake(nr, now, why.atOnce);
    this.#mark.run({ code, reason, now, leaveAt: why.atOnce ? now : null, nr });
  }

  /**
   * Requests a look after a room has named its replacement. Whether it is true, and which leases may move, is found
   * out later (attendance/upgrades/upgrades.ts). Returns false if the room has no lease that could follow.
   */
  replaced(nr: number, now: number): boolean {
    return this.#replaced.run({ nr, now }).changes > 0;
  }

  /** Requests a look into upgrades to this room: it changed, so the result may differ now. */
  mayReplace(roomId: RoomId, now: number): void {
    this.#replacing.run({ roomId, now });
  }

  #roomIdOf(nr: number): RoomId | null {
    return (this.#roomId.get(nr) ?? null) as RoomId | null;
  }
}
