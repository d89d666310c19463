import type { Database, Statement } from "better-sqlite3";
import type { NextLook, OwnInvite, OwnInviteStore } from "../invites/contracts.ts";
import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../../ledger/follower.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import { FOLLOWS } from "./lease-book.ts";

interface Row {
  room_id: string;
  own_event: string | null;
  own_reason: string | null;
  changed_at: number;
  sender: string;
  alias: string | null;
  held: number;
  is_of_upgrade: number;
}

/** Whether room `r` replaces a room with leases that could follow, according to that room or to the inviter. */
const IS_OF_UPGRADE =
  "EXISTS (SELECT 1 FROM room_state o JOIN leases l ON l.room_nr = o.room_nr WHERE o.field = 'replacement' AND o.value = r.room_id " +
  `AND ${FOLLOWS}) OR EXISTS (SELECT 1 FROM rooms o JOIN leases l ON l.room_nr = o.nr WHERE o.room_id = r.claims AND ${FOLLOWS})`;

export class SqliteOwnInviteStore implements OwnInviteStore, LedgerFollower {
  readonly #db: Database;
  readonly #due: Statement<[string, number, number], Row>;
  readonly #nextDue: Statement<[], number | null>;
  readonly #settle: Statement<[number | null, string, string | null]>;
  readonly #came: Statement<[number | null, string | null, number]>;

  constructor(db: Database) {
    this.#db = db;
    // The plus keeps SQLite from scanning all invites, answered or not, instead of the due ones.
    this.#due = db.prepare(
      "SELECT r.room_id, r.own_event, r.own_reason, r.changed_at, m.sender, s.value AS alias, " +
        "EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = r.nr AND l.ended_at IS NULL) AS held, " +
        `${IS_OF_UPGRADE} AS is_of_upgrade ` +
        "FROM rooms r JOIN members m ON m.room_nr = r.nr AND m.user_id = ? " +
        "LEFT JOIN room_state s ON s.room_nr = r.nr AND s.field = 'alias' " +
        "WHERE r.invite_at <= ? AND +r.own_membership = 'invite' ORDER BY r.invite_at LIMIT ?",
    );
    this.#nextDue = db
      .prepare<[], number | null>("SELECT min(invite_at) FROM rooms WHERE invite_at IS NOT NULL")
      .pluck();
    this.#settle = db.prepare(
      "UPDATE rooms SET invite_at = ? WHERE room_id = ? AND own_event IS ? AND invite_at IS NOT NULL",
    );
    this.#came = db.prepare("UPDATE rooms SET invite_at = ?, claims = ? WHERE nr = ?");
  }

  /** An invite is due from its arrival for as long as it is open. */
  own({ nr }: NumberedRoom, { membership, claims }: OwnChange, { now }: Moment): void {
    this.#came.run(membership === "invite" ? now : null, claims, nr);
  }

  async due(own: UserId, now: number, limit: number): Promise<readonly OwnInvite[]> {
    return this.#due.all(own, now, limit).map((row) => ({
      roomId: row.room_id as RoomId,
      eventId: row.own_event as EventId | null,
      inviter: row.sender as UserId,
      reason: row.own_reason,
      canonicalAlias: row.alias,
      at: row.changed_at,
      isHeld: row.held === 1,
      isOfUpgrade: row.is_of_upgrade === 1,
    }));
  }

  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  async settle(looks: readonly NextLook[]): Promise<void> {
    this.#db
      .transaction(() => {
        for (const { invite, at } of looks) this.#settle.run(at, invite.roomId, invite.eventId);
      })
      .immediate();
  }
}
