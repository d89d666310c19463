import type { RecordOutcome } from "../../ledger/recorder.ts";
import type { Journal } from "../../ledger/journal.ts";
import type { Clock } from "../../model/clock.ts";
import type { Metrics } from "../../platform/metrics.ts";
import type { Delivery } from "../../reconcile/delivery.ts";
import type { IntakeTally } from "./admin.ts";
import type { RoomOverview } from "./contracts.ts";

/** Counts what intake took in, for the status and the metrics. */
export class Tally {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  #intake: IntakeTally = { transactions: 0, events: 0, duplicates: 0, setAside: 0, lastAt: null };

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  get intake(): IntakeTally {
    return this.#intake;
  }

  count(seen: RecordOutcome & { readonly ephemeral: number }): void {
    const { transactions, events, ephemeral, roomsDoubted } = this.#metrics;
    transactions.inc();
    events.inc({ outcome: "fresh" }, seen.fresh);
    events.inc({ outcome: "duplicate" }, seen.duplicates);
    events.inc({ outcome: "set-aside" }, seen.setAside);
    ephemeral.inc(seen.ephemeral);
    roomsDoubted.inc(seen.doubted);
    this.#intake = {
      transactions: this.#intake.transactions + 1,
      events: this.#intake.events + seen.fresh,
      duplicates: this.#intake.duplicates + seen.duplicates,
      setAside: this.#intake.setAside + seen.setAside,
      lastAt: this.#clock.now(),
    };
  }
}

export interface GaugeSources {
  readonly overview: RoomOverview;
  readonly journal: Journal;
  readonly delivery: () => Delivery;
}

/** The metrics as text, their gauges brought up to date first. */
export async function metricsText(
  metrics: Metrics,
  { overview, journal, delivery }: GaugeSources,
): Promise<{ readonly contentType: string; readonly text: string }> {
  const { phases, leases } = await overview.totals();
  metrics.rooms.reset();
  metrics.leases.reset();
  for (const [phase, rooms] of Object.entries(phases)) metrics.rooms.set({ phase }, rooms);
  for (const [kind, held] of Object.entries(leases)) metrics.leases.set({ kind }, held);
  metrics.deliveryStalled.set(delivery().state === "stalled" ? 1 : 0);
  metrics.journalEnd.set((await journal.bounds()).last);
  return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() };
}
