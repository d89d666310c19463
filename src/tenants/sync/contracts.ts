import type { EventId, RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { Heads } from "./summary.ts";

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

/** An invite that nobody has accepted, declined or taken back, as far as is known. */
export interface OpenInvite {
  readonly roomId: RoomId;
  readonly user: UserId;
  readonly sender: UserId;
  readonly eventId: EventId;
  /** Of the pseudouser's; null for those of others. */
  readonly reason: string | null;
}

/** Whose eyes members are counted with: those of this user of the tenant's, from whom the pseudouser is hidden. */
export interface HeadsViewer {
  readonly tenant: TenantId;
  readonly user: UserId;
  readonly own: UserId;
}

/** What a sync tells of rooms beside their events. */
export interface SyncFacts {
  /** Open invites of this server's users, the pseudouser among them; the newest rooms first, at most `limit`. */
  openInvites(own: UserId, limit: number): Promise<readonly OpenInvite[]>;
  /** Who is in a room, as a tenant sees it; null where not all of it is known yet. */
  headsIn(roomId: RoomId, viewer: HeadsViewer): Promise<Heads | null>;
}

/** Which of a tenant's transaction IDs its events were sent with. */
export interface SentTransactions {
  /** By the events that are known and the tenant's. */
  txnIdsOf(tenant: TenantId, eventIds: readonly EventId[]): Promise<ReadonlyMap<EventId, string>>;
}
