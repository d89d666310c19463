import type { Database } from "better-sqlite3";
import type { RoomAlias, RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import { holderText, type HolderKind, type Lease, type LeaseEnd } from "../../model/lease.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { Store } from "../../storage/store.ts";
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
  kind: HolderKind;
  holder: string;
  alias: RoomAlias | null;
  taken_at: number;
  upgrades: number;
  expires_at: number | null;
}

export function leaseOf(roomId: RoomId, row: LeaseRow): Lease {
  const { id, kind, holder, alias, taken_at: takenAt, upgrades, expires_at: expiresAt } = row;
  return { id, roomId, holder: { kind, name: holder }, alias, takenAt, upgrades, expiresAt };
}

/** Why policy ends leases of a room that we are in. */
export interface Refusal {
  readonly code: string;
  readonly reason: string;
  /** Whether we leave without lingering if no lease is left. */
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
export const ASK_UPGRADE =
  `UPDATE rooms SET upgrade_at = coalesce(min(upgrade_at, ${UPGRADE_NEXT}), ${UPGRADE_NEXT}), ` +
  "upgrade_asks = upgrade_asks + 1";
export const HAS_FOLLOWERS = `EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = nr AND ${FOLLOWS})`;

export const NEXT_CHANGE = "(SELECT coalesce(max(change), 0) + 1 FROM leases)";
/** Bind room, kind, holder, alias, time, upgrades, where it begins in the journal (null for its end), and expiry. */
export const INSERT_LEASE =
  "INSERT INTO leases (room_nr, kind, holder, alias, taken_at, upgrades, from_seq, change, expires_at) " +
  `VALUES (?, ?, ?, ?, ?, ?, coalesce(?, ${LAST_SEQ}), ${NEXT_CHANGE}, ?)`;

/**
 * Changes that several stores make to leases inside their own transactions: ending a room's leases, requesting a
 * review or a look into an upgrade, and waking the room's attendance. So a fact and its consequences are one commit.
 */
export class LeaseBook extends Store {
  readonly rooms: RoomNumbers;
  readonly audit: AuditStore;
  readonly #live = this.sql<[number], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL ORDER BY id`,
  );
  readonly #end = this.sql<[number, string, number]>(
    `UPDATE leases SET ended_at = ?, end_reason = ?, to_seq = ${LAST_SEQ}, change = ${NEXT_CHANGE} WHERE id = ?`,
  );
  readonly #put = this.sql<[number, string, string, string | null, number, number, number | null, number | null]>(
    `${INSERT_LEASE} ON CONFLICT (room_nr, kind, holder) WHERE ended_at IS NULL DO UPDATE SET ` +
      "expires_at = excluded.expires_at, upgrades = excluded.upgrades, alias = coalesce(excluded.alias, alias)",
  );
  readonly #putOut = this.sql<[string, number]>("DELETE FROM persona_rooms WHERE tenant = ? AND room_nr = ?");
  readonly #wake = this.sql<[number, number, number, number]>(`
    INSERT INTO attendance (room_nr, phase, since, next_at, hurry) VALUES (?, 'absent', ?, ?, ?)
    ON CONFLICT (room_nr) DO UPDATE SET next_at = excluded.next_at, revision = revision + 1,
      hurry = max(hurry, excluded.hurry)`);
  readonly #mark = this.sql<[{ code: string; reason: string; now: number; leaveAt: number | null; nr: number }]>(
    "UPDATE attendance SET phase = 'refused', code = @code, reason = @reason, since = @now, retry_at = NULL, " +
      "tries = 0, leave_at = coalesce(@leaveAt, leave_at) WHERE room_nr = @nr",
  );
  readonly #review = this.sql<[{ now: number; nr: number }]>(`${REVIEW_ALL} AND nr = @nr`);
  readonly #reviewLate = this.sql<[{ now: number; nr: number }]>(
    `UPDATE rooms SET ${REVIEW} WHERE own_membership = 'join' AND nr = @nr AND weighed_at > @now - ${BOOKING_MS}`,
  );
  readonly #replaced = this.sql<[{ now: number; nr: number }]>(
    `${ASK_UPGRADE}, upgrade_since = @now, upgrade_tries = 0 WHERE nr = @nr AND ${HAS_FOLLOWERS}`,
  );
  readonly #roomId = this.value<[number], RoomId>("SELECT room_id FROM rooms WHERE nr = ?");

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore) {
    super(db);
    this.rooms = rooms;
    this.audit = audit;
  }

  /** Returns the live leases of a room, in the order in which they were taken. */
  liveOf(nr: number): readonly LeaseRow[] {
    return this.#live.all(nr);
  }

  /** Makes the keeper look at the room now, and before others if a caller waits for it. */
  wake(nr: number, now: number, isWaitedFor = false): void {
    this.#wake.run(nr, now, now, Number(isWaitedFor));
    this.rooms.hear(nr, now);
  }

  /** Requests a review of the room's leases: something changed that matters to policy. */
  review(nr: number, now: number): void {
    this.#review.run({ nr, now });
  }

  /** @param from where a new lease begins in the journal; null for its end */
  put(
    { room_nr, kind, holder, alias, upgrades, expires_at }: Omit<LeaseRow, "id" | "taken_at">,
    from: number | null,
    now: number,
  ): void {
    this.#put.run(room_nr, kind, holder, alias, now, upgrades, from, expires_at);
    // The lease was judged earlier, and the facts behind the verdict may have changed meanwhile.
    this.#reviewLate.run({ nr: room_nr, now });
  }

  /** Ends a lease. A tenant's users are in a room while its lease lives, so they leave with it. */
  endOne(lease: LeaseRow, end: LeaseEnd, now: number, detail: JsonObject = {}): void {
    this.#end.run(now, end, lease.id);
    if (lease.kind === "tenant") this.#putOut.run(lease.holder, lease.room_nr);
    const actor = holderText({ kind: lease.kind, name: lease.holder });
    const roomId = this.#roomId.get(lease.room_nr) ?? null;
    this.audit.write({ actor, action: "lease.end", outcome: end, roomId, detail }, now);
  }

  /** Ends a room's leases, up to the ID `upTo` if given, and notes the reason in its attendance. */
  endAll(nr: number, end: LeaseEnd, why: { code: string; reason: string; upTo?: number }, now: number): void {
    for (const lease of this.#live.all(nr)) {
      if (lease.id <= (why.upTo ?? Number.MAX_SAFE_INTEGER)) this.endOne(lease, end, now);
    }
    this.wake(nr, now);
    this.#mark.run({ code: why.code, reason: why.reason, now, leaveAt: null, nr });
  }

  /** Ends leases as refused. If none is left, notes the reason and makes us leave: `atOnce`, or after the linger. */
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
}
