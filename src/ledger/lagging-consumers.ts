import type { Logger } from "../model/logger.ts";
import { cutOf, recorderSpares, type JournalRow, type JournalState, type RetentionLimits } from "./cut.ts";

/** A consumer with unread events. */
export interface Reader {
  readonly consumer: string;
  /** Number up to which it has read. */
  readonly seq: number;
  /** When its first unread event arrived. */
  readonly unreadAt: number;
  /** Last number of the row of that event. */
  readonly unreadRowEnd: number;
}

/** A consumer that keeps more of the journal than the limits allow. */
export interface LaggingConsumer {
  readonly consumer: string;
  readonly seq: number;
  /** Number of its unread events. */
  readonly behind: number;
  /** When the first of them arrived. */
  readonly since: number;
}

/**
 * Returns the consumers that hold back the cut. It finds every consumer whose next event is too old, and those in the
 * way of the next cut for size. Finding those in the way of later cuts would mean adding up the journal.
 * @param oldest the journal's oldest rows, in order
 */
export function laggingConsumersOf(
  readers: readonly Reader[],
  oldest: readonly JournalRow[],
  state: JournalState,
  limits: RetentionLimits,
): readonly LaggingConsumer[] {
  const free = cutOf(oldest, { ...state, lowestCursor: null }, limits);
  const spares = recorderSpares(state, limits);
  return readers
    .filter(
      ({ seq, unreadAt, unreadRowEnd }) =>
        seq < free || (unreadRowEnd <= spares && state.now - unreadAt > limits.journalKeep),
    )
    .map(({ consumer, seq, unreadAt }) => ({ consumer, seq, behind: state.last - seq, since: unreadAt }));
}

const REMEDY = "Get it to read again, or remove it. Until then the journal outgrows its limits.";

/** Logs the consumers that have fallen behind or caught up since, and no others. */
export function tellLaggingConsumers(
  before: readonly LaggingConsumer[],
  now: readonly LaggingConsumer[],
  log: Logger,
): void {
  const isAmong = (laggingConsumers: readonly LaggingConsumer[], name: string): boolean =>
    laggingConsumers.some(({ consumer }) => consumer === name);
  for (const { consumer, behind, since } of now) {
    if (isAmong(before, consumer)) continue;
    log.warn("retention.held", { consumer, events_behind: behind, unread_since: since, remedy: REMEDY });
  }
  for (const { consumer } of before) {
    if (!isAmong(now, consumer)) log.info("retention.released", { consumer });
  }
}
