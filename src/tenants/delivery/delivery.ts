import type { EventId, RoomId } from "../../model/ids.ts";

/** The one event that a tenant does not take and that blocks all later ones. */
export interface Stuck {
  /** Its number in the journal. */
  readonly seq: number;
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly type: string;
  /** Size of the transaction with only this event. */
  readonly bytes: number;
  readonly since: number;
}

/** The state of deliveries to a tenant's own server. */
export interface DeliveryReport {
  /** Journal entries that deliveries have yet to pass, whether they concern the tenant or not. */
  readonly lag: number;
  /** Arrival of the oldest event that is under way or not yet read; null if there is none. */
  readonly oldestAt: number | null;
  /** Since the start. */
  readonly lastSuccessAt: number | null;
  readonly lastFailure: { readonly at: number; readonly sentence: string } | null;
  /** True while the newest try failed. */
  readonly isFailing: boolean;
  /** Null if no single event is known to block the others. */
  readonly stuck: Stuck | null;
}

/** Where a replay begins: at a number of the journal, or with events that arrived at or after a moment. */
export type ReplayFrom = { readonly seq: number } | { readonly at: number };

export type Replayed =
  | { readonly kind: "done"; readonly from: number }
  /** The journal no longer goes back so far. */
  | { readonly kind: "gone"; readonly oldest: number }
  /** The event was not delivered for the first time yet. */
  | { readonly kind: "not-yet"; readonly next: number };
