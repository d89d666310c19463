import type { Clock } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { TenantId } from "../../../model/ids.ts";
import { Budgets } from "../../../policy/budgets.ts";

export interface RateOptions {
  /** Requests a second that a tenant may make continuously. */
  readonly tenantRate: number;
  /** Requests that it may make at once after a rest. */
  readonly tenantBurst: number;
}

/** A read costs less than a write: it makes no event for other servers. */
export const READ_COST = 0.2;
export const WRITE_COST = 1;

/** Keeps one tenant from using up the homeserver: each has a budget that allows bursts but not floods. */
export class TenantRates {
  readonly #rate: number;
  readonly #budgets: Budgets<"tenant">;

  constructor({ tenantRate, tenantBurst }: RateOptions, clock: Clock) {
    this.#rate = tenantRate;
    this.#budgets = new Budgets({ tenant: { joins: tenantBurst, per: (tenantBurst * 1000) / tenantRate } }, clock);
  }

  /** @throws EmissaryError `limited`, with the time until the tenant may try again */
  spend(tenant: TenantId, cost: number): void {
    const subjects = [{ kind: "tenant", name: tenant }] as const;
    const shortage = this.#budgets.shortage(subjects, cost);
    if (shortage !== null) {
      const { retryAfter } = shortage;
      const what = `Tenant ${tenant} makes more than ${this.#rate} requests a second; try again later.`;
      throw new EmissaryError("limited", what, { reason: "tenant-rate", retryAfter });
    }
    this.#budgets.spend(subjects, cost);
  }
}
