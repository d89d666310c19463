import type { Database, Statement } from "better-sqlite3";
import type { RoomId, ServerName } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { AuditStore } from "./audit-store.ts";
import { LAST_SEQ } from "./journal-store.ts";
import type { RoomNumbers } from "./rooms.ts";

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

const NEXT_CHANGE = "(SELECT coalesce(max(change), 0) + 1 FROM leases)";
const INSERT =
  "INSERT INTO leases (room_nr, kind, holder, alias, taken_at, upgrades, from_seq, change, expires_at) " +
  `VALUES (?, ?, ?, ?, ?, ?, ${LAST_SEQ}, ${NEXT_CHANGE}, ?)`;

/**
 * What several stores do to leases inside their own transactions: ending those of a room, moving them to its replacement, and
 * waking the room's attendance, so that a fact and what follows from it are one commit.
 */
export class LeaseBook {
  readonly #rooms: RoomNumbers;
  readonly #audit: AuditStore;
  readonly #live: Statement<[number], LeaseRow>;
  readonly #end: Statement<[number, string, number]>;
  readonly #put: Statement<[number, string, string, string | null, number, number, number | null]>;
  readonly #putNew: Statement<[number, string, string, string | null, number, number, number | null]>;
  readonly #entered: Statement<[number]>;
  readonly #takeAlong: Statement<[number, string, number]>;
  readonly #putOut: Statement<[string, number]>;
  readonly #wake: Statement<[number, number, number]>;
  readonly #mark: Statement<[string, string, number, number]>;
  readonly #roomId: Statement<[number], string>;

  constructor(db: Database, rooms: RoomNumbers, audit: AuditStore) {
    this.#rooms = rooms;
    this.#audit = audit;
    this.#live = db.prepare(`SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL ORDER BY id`);
    this.#end = db.prepare(
      `UPDATE leases SET ended_at = ?, end_reason = ?, to_seq = ${LAST_SEQ}, change = ${NEXT_CHANGE} WHERE id = ?`,
    );
    this.#put = db.prepare(
      `${INSERT} ON CONFLICT (room_nr, kind, holder) WHERE ended_at IS NULL DO UPDATE SET ` +
        "expires_at = excluded.expires_at, upgrades = 0, alias = coalesce(excluded.alias, alias)",
    );
    this.#putNew = db.prepare(`${INSERT} ON CONFLICT DO NOTHING`);
    this.#entered = db.prepare(`UPDATE leases SET change = ${NEXT_CHANGE} WHERE room_nr = ? AND ended_at IS NULL`);
    this.#takeAlong = db.prepare(
      "INSERT OR IGNORE INTO persona_rooms (tenant, room_nr, user_id) " +
        "SELECT tenant, ?, user_id FROM persona_rooms WHERE tenant = ? AND room_nr = ?",
    );
    this.#putOut = db.prepare("DELETE FROM persona_rooms WHERE tenant = ? AND room_nr = ?");
    this.#wake = db.prepare(
      "INSERT INTO attendance (room_nr, phase, since, next_at) VALUES (?, 'absent', ?, ?) " +
        "ON CONFLICT (room_nr) DO UPDATE SET next_at = excluded.next_at, stirs = stirs + 1",
    );
    this.#mark = db.prepare(
      "UPDATE attendance SET phase = 'refused', code = ?, reason = ?, since = ?, retry_at = NULL, tries = 0 WHERE room_nr = ?",
    );
    this.#roomId = db.prepare<[number], string>("SELECT room_id FROM rooms WHERE nr = ?").pluck();
  }

  /** The live leases of a room, in the order in which they were taken. */
  liveOf(nr: number): readonly LeaseRow[] {
    return this.#live.all(nr);
  }

  /** The pseudouser is in the room now: for the holders of its leases something changed. */
  entered(nr: number): void {
    this.#entered.run(nr);
  }

  /** Has the keeper look at the room now. */
  wake(nr: number, now: number): void {
    this.#wake.run(nr, now, now);
  }

  put(lease: Pick<LeaseRow, "room_nr" | "kind" | "holder" | "alias" | "expires_at">, now: number): void {
    this.#put.run(lease.room_nr, lease.kind, lease.holder, lease.alias, now, 0, lease.expires_at);
  }

  /** Ends a lease. The users of a tenant are in a room while its lease lives, so they are put out with it. */
  endOne(lease: LeaseRow, end: LeaseEnd, now: number): void {
    this.#end.run(now, end, lease.id);
    if (lease.kind === "tenant") this.#putOut.run(lease.holder, lease.room_nr);
    this.#audit.write(
      {
        actor: actorOf(lease.kind, lease.holder),
        action: "lease.end",
        outcome: end,
        roomId: this.#roomIdOf(lease.room_nr),
        detail: {},
      },
      now,
    );
  }

  /** Ends a room's leases, up to the ID `upTo` where one is given, and notes the reason in its attendance. */
  endAll(nr: number, end: LeaseEnd, why: { code: string; reason: string; upTo?: number }, now: number): void {
    for (const lease of this.#live.all(nr)) {
      if (lease.id <= (why.upTo ?? Number.MAX_SAFE_INTEGER)) this.endOne(lease, end, now);
    }
    this.wake(nr, now);
    this.#mark.run(why.code, why.reason, now, nr);
  }

  /** Moves a room's leases, and tenants' users with them, to the room that replaced it; a holder that has one there keeps that. */
  move(from: RoomId, to: RoomId, via: readonly ServerName[], now: number): void {
    const nr = this.#rooms.find(from);
    if (nr === null) return;
    const leases = this.#live.all(nr);
    if (leases.length === 0) return;
    const target = this.#rooms.take(to);
    this.#rooms.learnVia(target, [...via, ...this.#rooms.via(nr)]);
    for (const lease of leases) {
      if (lease.kind === "tenant") this.#takeAlong.run(target, lease.holder, nr);
      this.endOne(lease, "upgraded", now);
      this.#putNew.run(target, lease.kind, lease.holder, lease.alias, now, lease.upgrades + 1, lease.expires_at);
    }
    this.wake(nr, now);
    this.wake(target, now);
  }

  #roomIdOf(nr: number): RoomId | null {
    return (this.#roomId.get(nr) ?? null) as RoomId | null;
  }
}

/** Who an audit row names for a holder. */
export function actorOf(kind: string, name: string): string {
  return kind === "operator" ? "operator" : `${kind}:${name}`;
}
