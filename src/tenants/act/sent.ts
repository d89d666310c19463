import type { Owner } from "../../model/attribution.ts";
import type { EventId } from "../../model/ids.ts";

/** An event that the homeserver made for a tenant's request with a transaction ID. */
export interface SentEvent {
  /** As the homeserver has it (`txnIdAt`). */
  readonly txnId: string;
  readonly eventId: EventId;
  readonly owner: Owner;
}
