import { randomBytes } from "node:crypto";
import type { Clock, Random } from "../model/clock.ts";

/** The longest wait that setTimeout can hold (a signed 32-bit number); a longer one would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A clock's being set by less than this is followed: forward at once, and back by letting time pass at half its speed. */
const SMALL_MS = 60_000;
/** How long a clock that was set far ahead is to stay there before it is believed. */
const BELIEF_MS = 10 * 60_000;

/**
 * The time of day that never goes back while the program runs, so that nothing that is due later gets further away. A clock that is
 * set back far is not followed until the next start, which brings back what is due with it (storage/due-times.ts). One that
 * is set ahead far is followed when it has stayed there for a while: in a minute of the year 2036 nothing falls due.
 * @param wall the clock that may be set
 * @param steady milliseconds since whenever, by a clock that nobody sets
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

/** The machine's own clock. With this file's `systemRandom` the only place that asks the machine for time or randomness. */
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
      // Without this, a signal that lives as long as the program would collect a listener for every sleep.
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const handle = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}
