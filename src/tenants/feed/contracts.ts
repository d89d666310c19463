import type { Owner } from "../../model/attribution.ts";
import type { RoomId, TenantId } from "../../model/ids.ts";

/** What a tenant's lease covers of a room: journal entries above `after`, up to and including `upTo`. */
export interface Span {
  readonly after: number;
  /** Null while the lease lives. */
  readonly upTo: number | null;
}

export interface Coverage {
  /** Returns the spans of a tenant's leases, live and ended, by room; without spans that end at or before `after`. */
  spansOf(tenant: TenantId, rooms: readonly RoomId[], after: number): Promise<ReadonlyMap<RoomId, readonly Span[]>>;
}

/** The owners of events that were sent for tenants. */
export interface EventOwners {
  /** Returns the known owners. Answers do not change while the owners are known. */
  ownersOf(eventIds: readonly string[]): Promise<ReadonlyMap<string, Owner>>;
}
