import type { Logger } from "../model/logger.ts";
import { cutOf, recorderSpares, type JournalRow, type JournalState, type RetentionLimits } from "./cut.ts";

/** A consumer that has something to read. */
export interface Reader {
  readonly consumer: string;
  /** Up to where it has read. */
  readonly seq: number;
  /** When the first event came that it has yet to read. */
  readonly unreadAt: number;
  /** The last number of the row that this event is in. */
  readonly unreadRowEnd: number;
}

/** A consumer that keeps more of the journal than the limits would. */
export interface LaggingConsumer {
  readonly consumer: string;
  readonly seq: number;
  /** Events that it has yet to read. */
  readonly behind: number;
  /** When the first of them came. */
  readonly since: number;
}

/**
 * Who keeps what would otherwise go. Everybody whose next event is too old is found, and those in the way of the next cut for
 * the journal's size: who else would be in the way of the cuts after that takes adding up the journal to tell.
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

/** Says who has fallen behind and who has caught up since; nothing of those for whom neither changed. */
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
