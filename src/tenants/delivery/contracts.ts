import type { Replayed, ReplayFrom, Stuck } from "./delivery.ts";
import type { TenantId } from "../../model/ids.ts";

/** A tenant's delivery position, as stored. */
export interface Place {
  /** Rises with each replay, so that transaction IDs are new. */
  readonly epoch: number;
  /** Everything up to this number of the journal is delivered. */
  readonly cursor: number;
  /** Last number of the transaction that was begun; null for none. */
  readonly pendingTo: number | null;
  /** The opening of the database in which it was begun (see Openings): keeps its transaction ID stable. */
  readonly opening: string;
}

export interface Step extends Place {
  readonly tenant: TenantId;
}

export interface Lag {
  /** Entries of the journal beyond a number. */
  readonly events: number;
  /** When the first of them arrived; null if there is none. */
  readonly oldestAt: number | null;
}

/** Storage for deliveries. Each call is one commit. */
export interface DeliveryStore {
  /** Null if there is no such tenant, or nothing is delivered to it. */
  place(tenant: TenantId): Promise<Place | null>;
  /** Writes positions. Ignores steps of a past epoch or of a removed tenant, and never moves a cursor back. */
  write(steps: readonly Step[]): Promise<void>;
  /** Sets the cursor back, drops the pending transaction, begins an epoch, audits; null for an unknown tenant. */
  replay(tenant: TenantId, from: ReplayFrom, at: number): Promise<Replayed | null>;
  /**
   * Moves the cursor past an event that the tenant does not take, with an audit row.
   * @returns false if there is no such tenant, or its cursor is not right before that event's transaction
   */
  skip(tenant: TenantId, stuck: Stuck, at: number): Promise<boolean>;
  lag(after: number): Promise<Lag>;
}
