import type { Clock } from "../model/clock.ts";
import type { Signal } from "./signal.ts";

export interface Work {
  /** Does what is due. Resolves to how many milliseconds to rest then; null for as long as it may be. */
  readonly round: (abort: AbortSignal) => Promise<number | null>;
  /** Each ends the rest. One that fires during a round is heard after it. Read before every round. */
  readonly signals?: readonly Signal[];
  /** The longest rest, milliseconds: the clock may jump, and not all that makes something due fires a signal. */
  readonly longest?: number;
  /** How long to wait after each rest, milliseconds, so that what comes together is seen to in one round. */
  readonly pause?: () => number;
  /** Told of a round that failed. */
  readonly failed: (error: unknown) => void;
  /** How long nothing is done after that, milliseconds. */
  readonly failedRest?: number;
  readonly clock: Clock;
}

const FAILED_MS = 1_000;

/** Does rounds of work, with rests between them, until the signal aborts. A round that fails is told of and made again. */
export async function workUntil(abort: AbortSignal, work: Work): Promise<void> {
  const { round, longest = Infinity, pause, failed, failedRest = FAILED_MS, clock } = work;
  while (!abort.aborted) {
    const awake = new AbortController();
    const over = AbortSignal.any([abort, awake.signal]);
    // Before the round looks: what comes while it works is not to be missed.
    const woken = (work.signals ?? []).map((signal) => signal.next(over));
    try {
      const rest = Math.min((await round(abort)) ?? Infinity, longest);
      if (rest > 0) await Promise.race([...woken, rest === Infinity ? aborted(over) : clock.sleep(rest, over)]);
      awake.abort();
      // What fires meanwhile is seen to by the round that follows.
      if (pause !== undefined) await clock.sleep(pause(), abort);
    } catch (error) {
      failed(error);
      await clock.sleep(failedRest, abort);
    }
    awake.abort();
  }
}

/** How long to rest until something is due, milliseconds; null where nothing is. */
export function restUntil(due: number | null, clock: Clock): number | null {
  return due === null ? null : due - clock.now();
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
