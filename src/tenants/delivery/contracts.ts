import type { Replayed, ReplayFrom, Stuck } from "./delivery.ts";
import type { TenantId } from "../../model/ids.ts";

/** How far a tenant has been given its events, as storage has it. */
export interface Place {
  /** Rises with each replay, so that transaction IDs are new then. */
  readonly epoch: number;
  /** The journal's number up to which all is delivered. */
  readonly cursor: number;
  /** The number up to which the transaction reaches that was begun; null for none. */
  readonly pendingTo: number | null;
  /** The opening of the database in which that was begun (see Openings): its ID stays what it is. */
  readonly opening: string;
}

export interface Step extends Place {
  readonly tenant: TenantId;
}

export interface Lag {
  /** Entries of the journal beyond a number. */
  readonly events: number;
  /** When the first of them came; null where there is none. */
  readonly oldestAt: number | null;
}

/** What deliveries need of storage. Each call is one commit. */
export interface DeliveryStore {
  /** Null where there is no such tenant, or none that is delivered to. */
  place(tenant: TenantId): Promise<Place | null>;
  /** Writes where tenants stand. A step of an epoch that is over, or of a tenant that is gone, changes nothing; no cursor moves back. */
  write(steps: readonly Step[]): Promise<void>;
  /** Sets the cursor back, drops what is pending and begins an epoch, with an audit row; null where there is no such tenant. */
  replay(tenant: TenantId, from: ReplayFrom, at: number): Promise<Replayed | null>;
  /**
   * Moves the cursor past an event that the tenant does not take, with an audit row.
   * @returns false where there is no such tenant, or its cursor does not stand right before that event's transaction
   */
  skip(tenant: TenantId, stuck: Stuck, at: number): Promise<boolean>;
  lag(after: number): Promise<Lag>;
}
