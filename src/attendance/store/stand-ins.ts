import type { RoomId, TenantId, UserId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

/** A tenant's user that was invited by its own ID and must leave the room again. */
export interface StandIn {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly tenant: TenantId;
  /** What the room is told; null for a reason chosen at that time. */
  readonly reason: string | null;
  readonly tries: number;
}

/** Stand-ins that must leave. Each call is one commit. */
export class StandInStore extends Store {
  readonly #add = this.sql<[Omit<StandIn, "tries"> & { readonly lookAt: number }]>(`
    INSERT INTO stand_ins (room_id, user_id, tenant, reason, tries, look_at)
    VALUES (@roomId, @userId, @tenant, @reason, 0, @lookAt) ON CONFLICT (room_id, user_id)
    DO UPDATE SET tenant = excluded.tenant, reason = excluded.reason, tries = 0, look_at = excluded.look_at`);
  readonly #due = this.sql<[number, number], StandIn>(
    "SELECT room_id AS roomId, user_id AS userId, tenant, reason, tries FROM stand_ins WHERE look_at <= ? " +
      "ORDER BY look_at LIMIT ?",
  );
  readonly #nextDue = this.value<[], number | null>("SELECT min(look_at) FROM stand_ins");
  readonly #scheduleRetry = this.sql<[number, number, string, string]>(
    "UPDATE stand_ins SET tries = ?, look_at = ? WHERE room_id = ? AND user_id = ?",
  );
  readonly #remove = this.sql<[string, string]>("DELETE FROM stand_ins WHERE room_id = ? AND user_id = ?");

  /** Replaces any entry of the same user in the room. */
  async add(standIn: Omit<StandIn, "tries">, lookAt: number): Promise<void> {
    this.#add.run({ ...standIn, lookAt });
  }

  /** Returns due stand-ins, the longest waiting first, at most `limit`. */
  async due(now: number, limit: number): Promise<readonly StandIn[]> {
    return this.#due.all(now, limit);
  }

  /** Returns when the next one is due; null if there is none. */
  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  /** Also writes its number of tries. */
  async scheduleRetry({ roomId, userId, tries }: StandIn, lookAt: number): Promise<void> {
    this.#scheduleRetry.run(tries, lookAt, roomId, userId);
  }

  async remove(roomId: RoomId, userId: UserId): Promise<void> {
    this.#remove.run(roomId, userId);
  }
}
