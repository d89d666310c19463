import { createHash } from "node:crypto";
import type { Clock, Random } from "../../src/model/clock.ts";

/** When a test's clock begins, so that no test thinks of the real time: 2026-01-01. */
export const START = Date.UTC(2026, 0, 1);

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

/** A clock that stands still until the test moves it. */
export class ManualClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start = START) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        until: this.#now + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake, { once: true });
    });
  }

  /** Lets `ms` pass: whoever sleeps is woken at its moment, in order, and has done what it does next before time goes on. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === null || next.until > end) break;
      this.#now = Math.max(this.#now, next.until);
      next.wake();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  /** Sets the clock, as an administrator or NTP does: nobody who sleeps is woken by it, or sleeps longer. */
  jumpTo(now: number): void {
    const by = now - this.#now;
    const asleep = [...this.#sleepers];
    this.#now = now;
    for (const sleeper of asleep) Object.assign(sleeper, { until: sleeper.until + by });
  }

  /** How many sleep now. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  #next(): Sleeper | null {
    let next: Sleeper | null = null;
    for (const sleeper of this.#sleepers) if (next === null || sleeper.until < next.until) next = sleeper;
    return next;
  }
}

/** Resolves when everybody who has something to do now has done it, and waits for time or for the test. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Randomness that is the same in every run (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  let tokens = 0;
  return {
    fraction: () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
    token: (bytes) => {
      tokens += 1;
      return createHash("sha512").update(`${seed} ${tokens}`).digest().subarray(0, bytes).toString("base64url");
    },
  };
}
