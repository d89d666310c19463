import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";

/** Rooms that nobody wants: we are not in them, nobody has a lease there, and nothing is under way. */
export interface StrangerStore {
  /**
   * Removes some of the rooms that nobody wants, and all that is known of them, in one commit: those of which nothing was heard since
   * `before`, and of the others the oldest where we know more than `kept` rooms that we are not in.
   */
  forget(now: number, before: number, kept: number): Promise<{ readonly rooms: number; readonly isMore: boolean }>;
}

/** How long such a room is remembered: an invite of the pseudouser that its tenant does not take up is worth no more. */
export const STRANGERS_KEPT_MS = 7 * 24 * 60 * 60_000;
/** What is kept to the hour is out of date by up to an hour. */
const HOUR_MS = 60 * 60_000;
/** How many rooms that we are not in are remembered, where the others are wanted by nobody. */
export const STRANGERS_KEPT = 10_000;
/** Between two steps where nothing more was to be done, and where there is more, milliseconds. */
const ROUND_MS = 60_000;
const PAUSE_MS = 20;

export interface StrangerParts {
  readonly store: StrangerStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told how many rooms are gone. */
  readonly forgot: (rooms: number) => void;
}

/**
 * Forgets rooms that nobody wants, until the signal aborts: whoever invites the pseudouser into ten thousand rooms is not to leave ten
 * thousand rows with us for ever. A step that fails is told and made again.
 */
export async function forgetStrangers({ store, clock, log, forgot }: StrangerParts, abort: AbortSignal): Promise<void> {
  while (!abort.aborted) {
    let wait = ROUND_MS;
    try {
      const now = clock.now();
      const { rooms, isMore } = await store.forget(now, now - STRANGERS_KEPT_MS - HOUR_MS, STRANGERS_KEPT);
      if (rooms > 0) {
        forgot(rooms);
        log.debug("strangers.forgotten", { rooms });
      }
      if (isMore) wait = PAUSE_MS;
    } catch (error) {
      log.error("strangers.round-failed", { error });
    }
    await clock.sleep(wait, abort);
  }
}
