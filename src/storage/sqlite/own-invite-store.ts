import type { Database, Statement } from "better-sqlite3";
import type { NextLook, OwnInvite, OwnInviteStore, InviteCursor } from "../../gateways/invites/contracts.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import { LAST_SEQ } from "./journal-store.ts";
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

/** Whether a room `r` is said to replace one that has leases which could follow. */
const IS_OF_UPGRADE =
  "EXISTS (SELECT 1 FROM room_state o JOIN leases l ON l.room_nr = o.room_nr WHERE o.field = 'replacement' AND o.value = r.room_id " +
  `AND ${FOLLOWS}) OR EXISTS (SELECT 1 FROM rooms o JOIN leases l ON l.room_nr = o.nr WHERE o.room_id = r.claims AND ${FOLLOWS})`;

export class SqliteOwnInviteStore implements OwnInviteStore {
  readonly #db: Database;
  readonly #due: Statement<[string, number, number], Row>;
  readonly #nextDue: Statement<[], number | null>;
  readonly #settle: Statement<[number | null, string, string | null]>;

  constructor(db: Database) {
    this.#db = db;
    // The plus keeps SQLite from going through all invites, answered or not, instead of those that are due.
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

export class SqliteInviteCursor implements InviteCursor {
  readonly #open: Statement<[string]>;
  readonly #seq: Statement<[string], number>;
  readonly #drop: Statement<[string]>;

  constructor(db: Database) {
    this.#open = db.prepare(`INSERT INTO cursors (consumer, seq) VALUES (?, ${LAST_SEQ}) ON CONFLICT DO NOTHING`);
    this.#seq = db.prepare<[string], number>("SELECT seq FROM cursors WHERE consumer = ?").pluck();
    this.#drop = db.prepare("DELETE FROM cursors WHERE consumer = ?");
  }

  async open(consumer: string): Promise<number> {
    this.#open.run(consumer);
    return this.#seq.get(consumer) ?? 0;
  }

  async drop(consumer: string): Promise<void> {
    this.#drop.run(consumer);
  }
}
