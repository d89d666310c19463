import type { EventId, RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { Heads } from "./summary.ts";

/** A lease that was taken or ended, or whose room the pseudouser joined. */
export interface LeaseChange {
  /** Rises with every change of any lease. */
  readonly change: number;
  readonly roomId: RoomId;
  readonly at: number;
  /** Why it ended; null if it lives and the pseudouser is in the room. */
  readonly ended: LeaseEnd | null;
}

export interface LeaseChanges {
  /**
   * Returns the newest change for each room of the tenant after a change, in order. Omits leases whose room the
   * pseudouser is not in yet. With `after` null: the rooms that the tenant is in.
   */
  since(tenant: TenantId, after: number | null): Promise<readonly LeaseChange[]>;
  /** The newest change of all leases; 0 for none. */
  newest(): Promise<number>;
}

/** An invite that is not known to be accepted, declined or revoked. */
export interface OpenInvite {
  readonly roomId: RoomId;
  readonly user: UserId;
  readonly sender: UserId;
  readonly eventId: EventId;
  /** The reason of the pseudouser's invite; null for others. */
  readonly reason: string | null;
}

/** The viewer for whom members are counted: a tenant's user, from whom the pseudouser is hidden. */
export interface HeadsViewer {
  readonly tenant: TenantId;
  readonly user: UserId;
  readonly own: UserId;
}

/** What a sync tells about rooms besides their events. */
export interface SyncFacts {
  /** Returns open invites of this server's users, including the pseudouser; the newest rooms first. */
  openInvites(own: UserId, limit: number): Promise<readonly OpenInvite[]>;
  /** Returns a room's members as the tenant sees them; null if they are not all known yet. */
  headsIn(roomId: RoomId, viewer: HeadsViewer): Promise<Heads | null>;
}

/** The transaction IDs with which a tenant's events were sent. */
export interface SentTransactions {
  /** Returns transaction IDs by event, for known events of the tenant. */
  txnIdsOf(tenant: TenantId, eventIds: readonly EventId[]): Promise<ReadonlyMap<EventId, string>>;
}
