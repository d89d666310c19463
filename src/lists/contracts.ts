import type { RoomAlias, RoomId } from "../model/ids.ts";
import type { Holder, Lease, LeaseEnd } from "../model/lease.ts";

/** How the configuration names a policy list. */
export type ListName = RoomId | RoomAlias;

/** What the lists need of the leases beyond the desk. */
export interface ListLeases {
  /** A holder's live leases, in the order in which they were taken. */
  ofHolder(holder: Holder): Promise<readonly Lease[]>;
  lastEnd(roomId: RoomId, holder: Holder): Promise<LeaseEnd | null>;
}
