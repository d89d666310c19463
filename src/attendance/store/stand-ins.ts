import type { Database, Statement } from "better-sqlite3";
import type { StandIn, StandInStore } from "../contracts.ts";
import type { RoomId, TenantId, UserId } from "../../model/ids.ts";

interface Row {
  room_id: string;
  user_id: string;
  tenant: string;
  reason: string | null;
  tries: number;
}

export class SqliteStandInStore implements StandInStore {
  readonly #add: Statement<[string, string, string, string | null, number]>;
  readonly #due: Statement<[number, number], Row>;
  readonly #nextDue: Statement<[], number | null>;
  readonly #scheduleRetry: Statement<[number, number, string, string]>;
  readonly #remove: Statement<[string, string]>;

  constructor(db: Database) {
    this.#add = db.prepare(
      "INSERT INTO stand_ins (room_id, user_id, tenant, reason, tries, look_at) VALUES (?, ?, ?, ?, 0, ?) " +
        "ON CONFLICT (room_id, user_id) DO UPDATE SET tenant = excluded.tenant, reason = excluded.reason, tries = 0, " +
        "look_at = excluded.look_at",
    );
    this.#due = db.prepare(
      "SELECT room_id, user_id, tenant, reason, tries FROM stand_ins WHERE look_at <= ? ORDER BY look_at LIMIT ?",
    );
    this.#nextDue = db.prepare<[], number | null>("SELECT min(look_at) FROM stand_ins").pluck();
    this.#scheduleRetry = db.prepare("UPDATE stand_ins SET tries = ?, look_at = ? WHERE room_id = ? AND user_id = ?");
    this.#remove = db.prepare("DELETE FROM stand_ins WHERE room_id = ? AND user_id = ?");
  }

  async add({ roomId, userId, tenant, reason }: Omit<StandIn, "tries">, lookAt: number): Promise<void> {
    this.#add.run(roomId, userId, tenant, reason, lookAt);
  }

  async due(now: number, limit: number): Promise<readonly StandIn[]> {
    return this.#due.all(now, limit).map((row) => ({
      roomId: row.room_id as RoomId,
      userId: row.user_id as UserId,
      tenant: row.tenant as TenantId,
      reason: row.reason,
      tries: row.tries,
    }));
  }

  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  async scheduleRetry({ roomId, userId, tries }: StandIn, lookAt: number): Promise<void> {
    this.#scheduleRetry.run(tries, lookAt, roomId, userId);
  }

  async remove(roomId: RoomId, userId: UserId): Promise<void> {
    this.#remove.run(roomId, userId);
  }
}
