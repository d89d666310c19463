import type { Stuck } from "../store/deliveries.ts";
import type { TenantId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import type { Failure } from "./outcome.ts";

export interface DeliveryReport extends Pick<DeliveryState, "lastSuccessAt" | "lastFailure" | "stuck"> {
  /** Journal entries that deliveries have yet to pass, whether they concern the tenant or not. */
  readonly lag: number;
  /** Arrival of the oldest event that is under way or not yet read; null if there is none. */
  readonly oldestAt: number | null;
  readonly isFailing: boolean;
}

/** The state of one tenant's deliveries since the start, and its log messages. Outlives a pause and new tokens. */
export class DeliveryState {
  /** Everything up to here is delivered; null until storage was read. */
  cursor: number | null = null;
  underWay: number | null = null;
  lastSuccessAt: number | null = null;
  lastFailure: { readonly at: number; readonly sentence: string } | null = null;
  /** Failures since the newest success. */
  tries = 0;
  /** The event that the tenant does not take even alone; null if none is known. */
  stuck: Stuck | null = null;
  readonly #tenant: TenantId;
  readonly #log: Logger;
  #isTokenLogged = false;

  constructor(tenant: TenantId, log: Logger) {
    this.#tenant = tenant;
    this.#log = log;
  }

  succeeded(at: number): void {
    this.lastSuccessAt = at;
    if (this.tries > 0) this.#log.info("tenant.delivery-resumed", { tenant: this.#tenant, tries: this.tries });
    this.tries = 0;
    this.stuck = null;
    this.#isTokenLogged = false;
  }

  stops(stuck: Stuck, cause: string): void {
    if (this.stuck?.seq === stuck.seq) return;
    this.stuck = stuck;
    const { seq, eventId: event, type, bytes } = stuck;
    this.#log.warn("tenant.delivery-stuck", { tenant: this.#tenant, seq, event, type, bytes, cause });
  }

  skipped(): void {
    this.replayed();
    this.tries = 0;
  }

  replayed(): void {
    this.cursor = null;
    this.underWay = null;
    this.stuck = null;
  }

  failed({ sentence, isToken }: Failure, at: number, wait: number): void {
    const tenant = this.#tenant;
    this.lastFailure = { at, sentence };
    if (isToken && !this.#isTokenLogged) this.#log.warn("tenant.token-refused", { tenant, cause: sentence });
    this.#isTokenLogged ||= isToken;
    const fields = { tenant, tries: this.tries, retry_in_ms: wait, cause: sentence };
    // Warns once for each outage, not for each try of a night.
    if (this.tries > 1) this.#log.debug("tenant.delivery-failed", fields);
    else if (!isToken) this.#log.warn("tenant.delivery-failed", fields);
  }
}
