import type { Owner } from "../../model/attribution.ts";
import type { RoomId, TenantId } from "../../model/ids.ts";

/** What a tenant's lease covers of a room: entries of the journal numbered above `after`, up to and with `upTo`. */
export interface Span {
  readonly after: number;
  /** Null while the lease lives. */
  readonly upTo: number | null;
}

export interface Coverage {
  /** The spans of a tenant's leases, live and ended, in each of the rooms; those that end at or before `after` are left out. */
  spansOf(tenant: TenantId, rooms: readonly RoomId[], after: number): Promise<ReadonlyMap<RoomId, readonly Span[]>>;
}

/** Whose events are that were sent for tenants. */
export interface EventOwners {
  /** Of those that are known; the same answer for as long as they are. */
  ownersOf(eventIds: readonly string[]): Promise<ReadonlyMap<string, Owner>>;
}
