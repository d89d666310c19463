import type { Clock } from "../model/clock.ts";
import type { TenantId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import type { Metrics } from "../platform/metrics.ts";

/** A tenant's sync began anew, because the events after its token are no longer available. */
export interface Miss {
  readonly at: number;
  readonly why: string;
}

/** The tenants whose sync began anew since the start, for the operator. */
export class Misses {
  readonly #tenants: { byId(id: TenantId): object | null };
  readonly #metrics: Pick<Metrics, "tenantSyncAnew">;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #newest = new Map<TenantId, Miss>();

  constructor(
    tenants: { byId(id: TenantId): object | null },
    metrics: Pick<Metrics, "tenantSyncAnew">,
    clock: Clock,
    log: Logger,
  ) {
    this.#tenants = tenants;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
  }

  readonly note = (tenant: TenantId, why: string): void => {
    for (const id of this.#newest.keys()) if (this.#tenants.byId(id) === null) this.#newest.delete(id);
    this.#newest.set(tenant, { at: this.#clock.now(), why });
    this.#metrics.tenantSyncAnew.inc({ why });
    this.#log.warn("tenant.sync-anew", { tenant, why });
  };

  readonly of = (tenant: TenantId): Miss | null => this.#newest.get(tenant) ?? null;
}
