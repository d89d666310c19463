import type { Clock } from "../model/clock.ts";
import { Span } from "./over.ts";
import type { Signal } from "./signal.ts";

export interface Work {
  /** Does what is due. Resolves to the rest in milliseconds; null for the longest rest. */
  readonly round: (abort: AbortSignal) => Promise<number | null>;
  /** Each ends the rest, also if it fires during a round. Read before every round. */
  readonly signals?: readonly Signal[];
  /** Longest rest, in milliseconds. The clock may jump, and some work becomes due without a signal. */
  readonly longest?: number;
  /** How long to wait after each rest, in milliseconds, so that one round handles all that arrives together. */
  readonly pause?: () => number;
  /** Called with the error of a failed round. */
  readonly failed: (error: unknown) => void;
  /** Rest after a failed round, in milliseconds. */
  readonly failedRest?: number;
  readonly clock: Clock;
}

const FAILED_MS = 1_000;

/** Does rounds of work, with rests between them, until the signal aborts. A failed round is reported and repeated. */
export async function workUntil(abort: AbortSignal, work: Work): Promise<void> {
  const { round, longest = Infinity, pause, failed, failedRest = FAILED_MS, clock } = work;
  while (!abort.aborted) {
    const awake = new Span(abort);
    const over = awake.signal;
    // Listen before the round reads, so that no signal during the round is missed.
    const woken = (work.signals ?? []).map((signal) => signal.next(over));
    try {
      const rest = Math.min((await round(abort)) ?? Infinity, longest);
      if (rest > 0) await Promise.race([...woken, rest === Infinity ? aborted(over) : clock.sleep(rest, over)]);
      awake.end();
      // The next round handles what arrives during this pause.
      if (pause !== undefined) await clock.sleep(pause(), abort);
    } catch (error) {
      failed(error);
      await clock.sleep(failedRest, abort);
    }
    awake.end();
  }
}

/** Returns how long to rest until `due`, in milliseconds; null if nothing is due. */
export function restUntil(due: number | null, clock: Clock): number | null {
  return due === null ? null : due - clock.now();
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
