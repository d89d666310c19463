import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../model/clock.ts";
import type { TenantId } from "../../model/ids.ts";
import { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import type { Logger } from "../../model/logger.ts";
import type { DeliveryStore, Step } from "../store/deliveries.ts";

/** Longest delay until the end of a transaction is on disk. A crash before that repeats the transaction. */
const DONE_MS = 50;
/** The same for passing over events of no concern. A crash repeats the reading. Retention waits for it. */
const IDLE_MS = 10_000;
const RETRY_MS = 1_000;

/**
 * Writes many tenants' positions in one commit: an event for a hundred tenants must not wait for the disk two hundred
 * times. A step has the tenant's whole position, so only the newest counts.
 */
export class CommitQueue {
  readonly #store: Pick<DeliveryStore, "write">;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  #steps = new Map<TenantId, Step>();
  /** Kept apart, so that an event for one tenant does not write rows for all others. */
  readonly #idle = new Map<TenantId, Step>();
  #soon: Promise<void> | null = null;
  readonly #mutex = new KeyedMutex();
  readonly #timed = new Set<"done" | "idle">();

  constructor(store: Pick<DeliveryStore, "write">, clock: Clock, log: Logger) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves when the step is on disk. Shares the commit with others of this turn of the event loop. */
  soon(step: Step): Promise<void> {
    this.#put(step);
    this.#soon ??= setImmediate().then(() => {
      this.#soon = null;
      return this.#write();
    });
    return this.#soon;
  }

  /** Queues the end of a transaction: written with the next commit, or shortly. */
  done(step: Step): void {
    this.#put(step);
    void this.#later("done", DONE_MS);
  }

  /** Queues a cursor that passed over events which do not concern the tenant; not urgent. */
  idle(step: Step): void {
    // Merges it with a step that is written sooner.
    (this.#steps.has(step.tenant) ? this.#steps : this.#idle).set(step.tenant, step);
    void this.#later("idle", IDLE_MS);
  }

  async flush(): Promise<void> {
    this.#takeIdle();
    await this.#write();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.flush().catch((error: unknown) => this.#log.error("tenant.place-not-written", { error }));
  }

  #put(step: Step): void {
    this.#idle.delete(step.tenant);
    this.#steps.set(step.tenant, step);
  }

  #takeIdle(): void {
    for (const [tenant, step] of this.#idle) this.#steps.set(tenant, step);
    this.#idle.clear();
  }

  async #later(what: "done" | "idle", ms: number): Promise<void> {
    if (this.#timed.has(what)) return;
    this.#timed.add(what);
    await this.#clock.sleep(ms, this.#abort.signal);
    this.#timed.delete(what);
    if (this.#abort.signal.aborted) return;
    if (what === "idle") this.#takeIdle();
    try {
      await this.#write();
    } catch (error) {
      this.#log.error("tenant.place-not-written", { error });
      void this.#later(what, RETRY_MS);
    }
  }

  /** One at a time: when this ends, the steps of an earlier write are on disk or queued again. */
  #write(): Promise<void> {
    return this.#mutex.run(null, async () => {
      const steps = this.#steps;
      if (steps.size === 0) return;
      this.#steps = new Map();
      try {
        await this.#store.write([...steps.values()]);
      } catch (error) {
        this.#steps = new Map([...steps, ...this.#steps]);
        throw error;
      }
    });
  }
}
