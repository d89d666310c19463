import type { RoomId, TenantId } from "../../../model/ids.ts";
import type { LeaseEnd } from "../../../model/lease.ts";

/** A lease that was taken or ended, or whose room the pseudouser came into. */
export interface LeaseChange {
  /** Rises with each thing that happens to any lease. */
  readonly change: number;
  readonly roomId: RoomId;
  readonly at: number;
  /** Why it ended, or null where it lives and the pseudouser is in the room. */
  readonly ended: LeaseEnd | null;
}

export interface LeaseChanges {
  /**
   * What happened to a tenant's leases after a change, in its order, the newest for each room; leases whose room the pseudouser is
   * not in yet are left out. With `after` null: the rooms the tenant is in.
   */
  since(tenant: TenantId, after: number | null): Promise<readonly LeaseChange[]>;
  /** The newest change of all leases; 0 for none. */
  newest(): Promise<number>;
}
