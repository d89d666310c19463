import type { Owner } from "../../model/attribution.ts";
import type { EventId } from "../../model/ids.ts";

/** An event that the homeserver made for a tenant's request with a transaction ID. */
export interface SentEvent {
  /** The homeserver's transaction ID (`txnIdAt`). */
  readonly txnId: string;
  readonly eventId: EventId;
  readonly owner: Owner;
}
