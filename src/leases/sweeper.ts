import type { Clock } from "../model/clock.ts";
import type { Signal } from "../model/signal.ts";
import type { LeaseStore } from "./desk.ts";

/** Ended in one commit; more are taken in the next round. */
const BATCH = 200;
/** A lease booked while we sleep may expire sooner than the one we sleep for, and the clock may jump. */
const LONGEST_SLEEP_MS = 10_000;

/** Ends leases whose time is over, until the signal aborts. */
export async function sweepLeases(store: LeaseStore, changed: Signal, clock: Clock, abort: AbortSignal): Promise<void> {
  while (!abort.aborted) {
    const ended = await store.expire(clock.now(), BATCH);
    if (ended > 0) changed.notify();
    if (ended === BATCH) continue;
    const next = await store.nextExpiry();
    const wait = next === null ? LONGEST_SLEEP_MS : Math.min(LONGEST_SLEEP_MS, Math.max(0, next - clock.now()));
    await clock.sleep(wait, abort);
  }
}
