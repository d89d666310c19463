import type { RoomAlias, RoomId } from "../model/ids.ts";
import type { Holder, Lease, LeaseEnd } from "../model/lease.ts";

/** A policy list's name in the configuration. */
export type ListName = RoomId | RoomAlias;

/** The lease queries that lists need beside the desk. */
export interface ListLeases {
  /** Returns a holder's live leases, in the order in which they were taken. */
  ofHolder(holder: Holder): Promise<readonly Lease[]>;
  lastEnd(roomId: RoomId, holder: Holder): Promise<LeaseEnd | null>;
}
