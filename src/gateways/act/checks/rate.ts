import type { Clock } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { TenantId } from "../../../model/ids.ts";

export interface RateOptions {
  /** Requests a second that a tenant may make for as long as it likes. */
  readonly tenantRate: number;
  /** How many it may make at once after a rest. */
  readonly tenantBurst: number;
}

/** What a read takes, where a write takes one: it makes no event that other servers have to be told of. */
export const READ_COST = 0.2;
export const WRITE_COST = 1;

interface Bucket {
  left: number;
  at: number;
}

/** Keeps one tenant from taking the homeserver from all others: a token bucket for each, so that bursts pass and floods do not. */
export class TenantRates {
  readonly #options: RateOptions;
  readonly #clock: Clock;
  /** One for each tenant that ever asked. */
  readonly #buckets = new Map<TenantId, Bucket>();

  constructor(options: RateOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** @throws EmissaryError `limited`, with the time after which the tenant has the right again. */
  spend(tenant: TenantId, cost: number): void {
    const { tenantRate, tenantBurst } = this.#options;
    const now = this.#clock.now();
    let bucket = this.#buckets.get(tenant);
    if (bucket === undefined) {
      bucket = { left: tenantBurst, at: now };
      this.#buckets.set(tenant, bucket);
    }
    // A clock that was set back gives nothing, and takes nothing.
    const earned = (Math.max(0, now - bucket.at) * tenantRate) / 1000;
    bucket.left = Math.min(tenantBurst, bucket.left + earned);
    bucket.at = now;
    if (bucket.left < cost) {
      throw new EmissaryError(
        "limited",
        `Tenant ${tenant} asks for more than ${tenantRate} requests a second; try again later.`,
        { reason: "tenant-rate", retryAfter: Math.ceil(((cost - bucket.left) * 1000) / tenantRate) },
      );
    }
    bucket.left -= cost;
  }
}
