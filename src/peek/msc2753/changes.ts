import type { Clock } from "../../model/clock.ts";
import type { Logger } from "../../model/logger.ts";
import { Signal } from "../../concurrency/signal.ts";
import type { PeekStore } from "./contracts.ts";
import { Span } from "../../concurrency/over.ts";

const FAILED_MS = 1_000;

export interface ChangesParts {
  readonly store: Pick<PeekStore, "newest">;
  /** Signals that may mean a change of peeks, and mostly do not. */
  readonly signals: readonly Signal[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** Wakes the waiting syncs only if peeks really changed, so not each of them has to check. */
export class PeekChanges {
  readonly changed = new Signal();
  readonly #parts: ChangesParts;

  constructor(parts: ChangesParts) {
    this.#parts = parts;
  }

  async follow(abort: AbortSignal): Promise<void> {
    const { store, signals, clock, log } = this.#parts;
    let newest: number | null = null;
    while (!abort.aborted) {
      const round = new Span(abort);
      const more = signals.map((signal) => signal.next(round.signal));
      try {
        const now = await store.newest();
        if (now !== newest) this.changed.notify();
        newest = now;
        await Promise.race(more);
      } catch (error) {
        log.error("peeks.changes-failed", { error });
        await clock.sleep(FAILED_MS, abort);
      }
      round.end();
    }
  }
}
