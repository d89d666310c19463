import type { RecordOutcome } from "../ledger/recorder.ts";
import type { Journal } from "../ledger/journal.ts";
import type { History } from "../ledger/retention.ts";
import type { Clock } from "../model/clock.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Delivery } from "../ledger/comparing/delivery.ts";
import type { OverviewStore } from "./store.ts";
import type { Couriers } from "../tenants/delivery/couriers.ts";
import type { StatusAnswer } from "./api/daemon.ts";
import type { Tenants } from "../policy/tenants.ts";
import { COOL_DOWN_CODES } from "../policy/cool-down.ts";
import { budgetsLeft, type GuardParts } from "./guard.ts";

/** Counts what the homeserver sends, for the status and the metrics. */
export class Tally {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  /** Counts since the start, in the form of the status. */
  intake: Omit<StatusAnswer["intake"], "late"> = {
    transactions: 0,
    events: 0,
    duplicates: 0,
    set_aside: 0,
    last_at: null,
  };
  lastPing: StatusAnswer["last_ping"] = null;

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  count(seen: RecordOutcome & { readonly ephemeral: number }): void {
    const { transactions, events, ephemeral, gapsFound } = this.#metrics;
    transactions.inc();
    events.inc({ outcome: "fresh" }, seen.fresh);
    events.inc({ outcome: "duplicate" }, seen.duplicates);
    events.inc({ outcome: "set-aside" }, seen.setAside);
    ephemeral.inc(seen.ephemeral);
    gapsFound.inc(seen.gaps);
    const before = this.intake;
    this.intake = {
      transactions: before.transactions + 1,
      events: before.events + seen.fresh,
      duplicates: before.duplicates + seen.duplicates,
      set_aside: before.set_aside + seen.setAside,
      last_at: this.#clock.now(),
    };
  }

  /** Notes a ping with an ID. A caller that makes the homeserver ping us can check that it came here. */
  pinged(transactionId: string): void {
    this.lastPing = { transaction_id: transactionId, at: this.#clock.now() };
  }
}

export interface GaugeSources {
  readonly overview: Pick<OverviewStore, "totals">;
  readonly journal: Journal;
  readonly history: History;
  readonly clock: Clock;
  readonly delivery: () => Delivery;
  readonly tenants: Pick<Tenants, "all">;
  readonly deliveries: Pick<Couriers, "report">;
  readonly guard: Pick<GuardParts, "rules" | "budgets" | "coolDowns">;
}

/** Updates the gauges and returns the metrics as text. */
export async function metricsText(
  metrics: Metrics,
  { overview, journal, history, clock, delivery, tenants, deliveries, guard }: GaugeSources,
): Promise<{ readonly contentType: string; readonly text: string }> {
  const { phases, leases } = await overview.totals();
  metrics.rooms.reset();
  metrics.leases.reset();
  for (const [phase, rooms] of Object.entries(phases)) metrics.rooms.set({ phase }, rooms);
  for (const [kind, held] of Object.entries(leases)) metrics.leases.set({ kind }, held);
  metrics.deliveryStalled.set(delivery().state === "stalled" ? 1 : 0);
  const { first, last } = await journal.bounds();
  const extent = await history.extent();
  const age = (at: number | null): number => (at === null ? 0 : Math.max(0, clock.now() - at) / 1000);
  metrics.journalEnd.set(last);
  metrics.journalEvents.set(first === 0 ? 0 : last - first + 1);
  metrics.journalBytes.set(history.bytes);
  metrics.journalOldestAge.set(age(extent.journalOldestAt));
  metrics.journalLaggingConsumers.set(history.laggingConsumers.length);
  metrics.auditEntries.set(history.auditEntries(extent));
  metrics.auditOldestAge.set(age(extent.auditOldestAt));
  metrics.tenantLag.reset();
  metrics.tenantOldestAge.reset();
  metrics.tenantStuck.reset();
  for (const tenant of tenants.all()) {
    const report = await deliveries.report(tenant);
    if (report === null) continue;
    metrics.tenantLag.set({ tenant: tenant.id }, report.lag);
    metrics.tenantOldestAge.set({ tenant: tenant.id }, age(report.oldestAt));
    metrics.tenantStuck.set({ tenant: tenant.id }, report.stuck === null ? 0 : 1);
  }
  for (const [budget, left] of budgetsLeft(guard.budgets)) metrics.budgetLeft.set({ budget }, left);
  const rules = Map.groupBy(guard.rules.all(), ({ source }) =>
    source === "config" || source === "operator" ? source : "list",
  );
  for (const source of ["config", "operator", "list"] as const) {
    metrics.policyRules.set({ source }, rules.get(source)?.length ?? 0);
  }
  const coolDowns = await guard.coolDowns.counts(clock.now());
  for (const code of COOL_DOWN_CODES) metrics.coolDowns.set({ code }, coolDowns[code] ?? 0);
  return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() };
}
