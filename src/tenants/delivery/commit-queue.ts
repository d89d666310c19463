import type { Clock } from "../../model/clock.ts";
import type { TenantId } from "../../model/ids.ts";
import { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import type { Logger } from "../../model/logger.ts";
import type { DeliveryStore, Step } from "./contracts.ts";

/** How long it may take until the end of a transaction is on disk: a crash before that repeats the transaction. */
const DONE_MS = 50;
/** The same for moving on past what concerns nobody: a crash before that reads it again. Retention waits for it. */
const IDLE_MS = 10_000;
const RETRY_MS = 1_000;

/**
 * Writes where the tenants stand, many in one commit: an event for a hundred tenants is not to wait for the disk two hundred
 * times. A step says all of where its tenant stands, so that only the newest of each counts.
 */
export class CommitQueue {
  readonly #store: Pick<DeliveryStore, "write">;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  #steps = new Map<TenantId, Step>();
  /** Apart, so that an event which concerns one tenant does not write rows for all the others. */
  #idle = new Map<TenantId, Step>();
  #soon: Promise<void> | null = null;
  readonly #mutex = new KeyedMutex();
  #isTimed = { done: false, idle: false };

  constructor(store: Pick<DeliveryStore, "write">, clock: Clock, log: Logger) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves when it is on disk; what else waits in this turn of the event loop goes with it. */
  soon(step: Step): Promise<void> {
    this.#put(this.#steps, step);
    this.#soon ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#soon = null;
        this.#write().then(resolve, reject);
      });
    });
    return this.#soon;
  }

  /** The end of a transaction: written with the next commit, or shortly. */
  done(step: Step): void {
    this.#put(this.#steps, step);
    this.#later("done", DONE_MS);
  }

  /** Nothing concerned the tenant up to its cursor: written some time. */
  idle(step: Step): void {
    // What waits to be written sooner takes this along.
    if (this.#steps.has(step.tenant)) this.#steps.set(step.tenant, step);
    else this.#idle.set(step.tenant, step);
    this.#later("idle", IDLE_MS);
  }

  /** Writes all that waits. */
  async flush(): Promise<void> {
    this.#takeIdle();
    await this.#write();
  }

  /** Writes what waits and ends the timers. */
  async close(): Promise<void> {
    this.#abort.abort();
    try {
      await this.flush();
    } catch (error) {
      this.#log.error("tenant.place-not-written", { error });
    }
  }

  #put(steps: Map<TenantId, Step>, step: Step): void {
    this.#idle.delete(step.tenant);
    steps.set(step.tenant, step);
  }

  #takeIdle(): void {
    for (const [tenant, step] of this.#idle) this.#steps.set(tenant, step);
    this.#idle.clear();
  }

  #later(what: "done" | "idle", ms: number): void {
    if (this.#isTimed[what]) return;
    this.#isTimed[what] = true;
    void this.#writeAfter(what, ms);
  }

  async #writeAfter(what: "done" | "idle", ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#abort.signal);
    this.#isTimed[what] = false;
    if (this.#abort.signal.aborted) return;
    if (what === "idle") this.#takeIdle();
    try {
      await this.#write();
    } catch (error) {
      this.#log.error("tenant.place-not-written", { error });
      this.#later(what, RETRY_MS);
    }
  }

  /** One at a time, so that what a former one took is on disk, or back among the steps, when this one ends. */
  #write(): Promise<void> {
    return this.#mutex.run(null, () => this.#writeNow());
  }

  async #writeNow(): Promise<void> {
    const steps = this.#steps;
    if (steps.size === 0) return;
    this.#steps = new Map();
    try {
      await this.#store.write([...steps.values()]);
    } catch (error) {
      // What came meanwhile is newer.
      for (const [tenant, step] of steps) if (!this.#steps.has(tenant)) this.#steps.set(tenant, step);
      throw error;
    }
  }
}
