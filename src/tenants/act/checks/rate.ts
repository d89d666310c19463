import type { Clock } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { TenantId } from "../../../model/ids.ts";
import { Budgets } from "../../../policy/budgets.ts";

export interface RateOptions {
  /** Requests a second that a tenant may make for as long as it likes. */
  readonly tenantRate: number;
  /** How many it may make at once after a rest. */
  readonly tenantBurst: number;
}

/** What a read takes, where a write takes one: it makes no event that other servers have to be told of. */
export const READ_COST = 0.2;
export const WRITE_COST = 1;

/** Keeps one tenant from taking the homeserver from all others: each has a budget, so that bursts pass and floods do not. */
export class TenantRates {
  readonly #rate: number;
  readonly #budgets: Budgets<"tenant">;

  constructor({ tenantRate, tenantBurst }: RateOptions, clock: Clock) {
    this.#rate = tenantRate;
    this.#budgets = new Budgets({ tenant: { joins: tenantBurst, per: (tenantBurst * 1000) / tenantRate } }, clock);
  }

  /** @throws EmissaryError `limited`, with the time after which the tenant has the right again. */
  spend(tenant: TenantId, cost: number): void {
    const payers = [{ kind: "tenant", name: tenant }] as const;
    const shortage = this.#budgets.shortage(payers, cost);
    if (shortage !== null) {
      throw new EmissaryError(
        "limited",
        `Tenant ${tenant} asks for more than ${this.#rate} requests a second; try again later.`,
        { reason: "tenant-rate", retryAfter: shortage.retryAfter },
      );
    }
    this.#budgets.spend(payers, cost);
  }
}
