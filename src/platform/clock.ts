import { randomBytes } from "node:crypto";
import type { Clock, Random } from "../model/clock.ts";

/** The longest wait that setTimeout can hold (a signed 32-bit number); a longer one would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The machine's own clock. With this file's `systemRandom` the only place that asks the machine for time or randomness. */
export const systemClock: Clock = {
  now: () => Date.now(),
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
