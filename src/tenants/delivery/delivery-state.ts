import type { Stuck } from "./delivery.ts";
import type { TenantId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import type { Outcome } from "./outcome.ts";

/** The state of one tenant's deliveries since the start, and its log messages. Outlives a pause and new tokens. */
export class DeliveryState {
  /** Everything up to here is delivered; null until storage was read. */
  cursor: number | null = null;
  /** The number of the first event in the transaction under way. */
  underWay: number | null = null;
  lastSuccessAt: number | null = null;
  lastFailure: { readonly at: number; readonly sentence: string } | null = null;
  /** Failures since the newest success. */
  tries = 0;
  /** The event that the tenant does not take even alone. */
  stuck: Stuck | null = null;
  readonly #tenant: TenantId;
  readonly #log: Logger;
  #isTokenTold = false;

  constructor(tenant: TenantId, log: Logger) {
    this.#tenant = tenant;
    this.#log = log;
  }

  succeeded(at: number): void {
    this.lastSuccessAt = at;
    if (this.tries > 0) this.#log.info("tenant.delivery-resumed", { tenant: this.#tenant, tries: this.tries });
    this.tries = 0;
    this.stuck = null;
    this.#isTokenTold = false;
  }

  /** Notes that a transaction with only this event fails. */
  stops(stuck: Omit<Stuck, "since">, at: number, cause: string): void {
    if (this.stuck?.seq === stuck.seq) return;
    this.stuck = { ...stuck, since: at };
    const { seq, eventId: event, type, bytes } = stuck;
    this.#log.warn("tenant.delivery-stuck", { tenant: this.#tenant, seq, event, type, bytes, cause });
  }

  skipped(): void {
    Object.assign(this, { cursor: null, underWay: null, stuck: null, tries: 0 });
  }

  /** Resets the position: deliveries begin elsewhere. */
  replayed(): void {
    Object.assign(this, { cursor: null, underWay: null, stuck: null });
  }

  /** @param wait time until the next try, milliseconds */
  failed({ sentence, isToken }: Extract<Outcome, { kind: "not-taken" }>, at: number, wait: number): void {
    const tenant = this.#tenant;
    this.lastFailure = { at, sentence };
    if (isToken && !this.#isTokenTold) {
      this.#isTokenTold = true;
      this.#log.warn("tenant.token-refused", { tenant, cause: sentence });
    }
    const fields = { tenant, tries: this.tries, retry_in_ms: wait, cause: sentence };
    // Warns once for each outage, not for each try of a night.
    if (this.tries > 1) this.#log.debug("tenant.delivery-failed", fields);
    else if (!isToken) this.#log.warn("tenant.delivery-failed", fields);
  }
}
