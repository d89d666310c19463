import type { EventId, RoomId } from "../../model/ids.ts";

/** The one event that a tenant does not take, so that nothing after it arrives. */
export interface Stuck {
  /** Its number in the journal. */
  readonly seq: number;
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly type: string;
  /** Of the transaction that has this event alone. */
  readonly bytes: number;
  readonly since: number;
}

/** How the delivery of events to a tenant's own server stands. */
export interface DeliveryReport {
  /** Events of the journal that deliveries have yet to pass, whether they concern the tenant or not. */
  readonly lag: number;
  /** When the oldest event came that is on its way or not looked at; null where there is none. */
  readonly oldestAt: number | null;
  /** Since the start. */
  readonly lastSuccessAt: number | null;
  readonly lastFailure: { readonly at: number; readonly sentence: string } | null;
  /** True while the newest try failed. */
  readonly isFailing: boolean;
  /** Null where no single event is known to stop the others. */
  readonly stuck: Stuck | null;
}

/** Where a replay is to begin: at a number of the journal, or with what came at a moment or later. */
export type ReplayFrom = { readonly seq: number } | { readonly at: number };

export type Replayed =
  | { readonly kind: "done"; readonly from: number }
  /** The journal no longer goes back so far. */
  | { readonly kind: "gone"; readonly oldest: number }
  /** That has yet to be delivered for the first time. */
  | { readonly kind: "not-yet"; readonly next: number };
