import { randomBytes } from "node:crypto";
import type { Clock, Random } from "../model/clock.ts";

/** The longest wait of setTimeout (a signed 32-bit number); a longer one would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Smaller adjustments of the clock are followed: forward at once, and back by letting time pass at half speed. */
const SMALL_MS = 60_000;
/** How long a clock that was set far ahead must stay there before we believe it. */
const BELIEF_MS = 10 * 60_000;

/**
 * Returns a time that never goes back while the program runs, so that nothing due moves further away. It follows a
 * clock that is set far back only at the next start, which adjusts due times (storage/due-times.ts), and one set far
 * ahead once it has stayed there: a minute in the year 2036 makes nothing due.
 * @param wall the clock that may be set
 * @param steady milliseconds from any start, by a clock that nobody sets
 */
export function unsetTime(wall: () => number, steady: () => number): () => number {
  let passed = steady();
  let ahead = wall() - passed;
  let doubted: { readonly ahead: number; readonly since: number } | null = null;
  return () => {
    const before = passed;
    passed = steady();
    const told = wall() - passed;
    const by = told - ahead;
    const isDoubted: boolean = doubted !== null && Math.abs(told - doubted.ahead) <= SMALL_MS;
    if (by <= SMALL_MS) {
      doubted = null;
      if (by > 0) ahead = told;
      else if (by >= -SMALL_MS) ahead = Math.max(told, ahead - (passed - before) / 2);
    } else if (doubted === null || !isDoubted) {
      doubted = { ahead: told, since: passed };
    } else if (passed - doubted.since >= BELIEF_MS) {
      doubted = null;
      ahead = told;
    }
    return Math.floor(passed + ahead);
  };
}

/** The machine's clock. Only this and `systemRandom` below ask the machine for time or randomness. */
export const systemClock: Clock = {
  now: unsetTime(
    () => Date.now(),
    () => performance.now(),
  ),
  async sleep(ms, signal) {
    let left = ms;
    do {
      const step = Math.min(left, LONGEST_TIMER);
      left -= step;
      await timer(step, signal);
    } while (left > 0 && signal?.aborted !== true);
  },
};

export const systemRandom: Random = {
  fraction: () => Math.random(),
  token: (bytes) => randomBytes(bytes).toString("base64url"),
};

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(handle);
      // Otherwise a signal that lives as long as the program would collect a listener for every sleep.
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const handle = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}
