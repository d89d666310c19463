import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import type { Signal } from "../model/signal.ts";
import type { LeaseStore } from "./desk.ts";

/** Ended in one commit; more are taken in the next round. */
const BATCH = 200;
/** A lease booked while we sleep may expire sooner than the one we sleep for, and the clock may jump. */
const LONGEST_SLEEP_MS = 10_000;

export interface SweeperParts {
  readonly store: Pick<LeaseStore, "expire" | "nextExpiry">;
  /** Is fired when leases ended. */
  readonly changed: Signal;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortSignal;
}

/** Ends leases whose time is over, until the signal aborts. A round that fails is told and made again. */
export async function sweepLeases({ store, changed, clock, log, abort }: SweeperParts): Promise<void> {
  while (!abort.aborted) {
    let wait = LONGEST_SLEEP_MS;
    try {
      const ended = await store.expire(clock.now(), BATCH);
      if (ended > 0) changed.notify();
      const next = ended === BATCH ? clock.now() : await store.nextExpiry();
      if (next !== null) wait = Math.min(wait, Math.max(0, next - clock.now()));
    } catch (error) {
      log.error("sweeper.round-failed", { error });
    }
    await clock.sleep(wait, abort);
  }
}
