import type { RoomId, TenantId } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import { Store } from "../../storage/store.ts";

/** A lease that was taken or ended, or whose room the pseudouser joined. */
export interface LeaseChange {
  /** Rises with every change of any lease. */
  readonly change: number;
  readonly roomId: RoomId;
  readonly at: number;
  /** Why it ended; null if it lives and the pseudouser is in the room. */
  readonly ended: LeaseEnd | null;
}

const SELECT = `
  SELECT l.change, r.room_id AS roomId, coalesce(l.ended_at, l.taken_at) AS at, l.end_reason AS ended
  FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE l.kind = 'tenant' AND l.holder = ?`;

export class LeaseChangesStore extends Store {
  readonly #present = this.sql<[string], LeaseChange>(
    `${SELECT} AND l.ended_at IS NULL AND r.own_membership = 'join' ORDER BY l.change`,
  );
  readonly #since = this.sql<[string, number], LeaseChange>(
    `${SELECT} AND l.change > ? AND (l.ended_at IS NOT NULL OR r.own_membership = 'join') ORDER BY l.change`,
  );
  readonly #newest = this.value<[], number>("SELECT coalesce(max(change), 0) FROM leases");

  /**
   * Returns the newest change for each room of the tenant after a change, in order. Omits leases whose room the
   * pseudouser is not in yet. With `after` null: the rooms that the tenant is in.
   */
  async since(tenant: TenantId, after: number | null): Promise<readonly LeaseChange[]> {
    const changes = after === null ? this.#present.all(tenant) : this.#since.all(tenant, after);
    return [...new Map(changes.map((change) => [change.roomId, change])).values()];
  }

  /** Returns the newest change of all leases; 0 for none. */
  async newest(): Promise<number> {
    return this.#newest.get() ?? 0;
  }
}
