import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import type { Signal } from "../concurrency/signal.ts";
import { restUntil, workUntil, type Work } from "../concurrency/worker.ts";
import type { LaggingConsumer } from "./cut.ts";
import type { HistoryLimiter } from "./retention.ts";
import type { Redactions } from "./store/redactions.ts";
import type { SqliteUnusedRoomStore } from "./store/unused-rooms.ts";

interface Tools {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface CleaningParts extends Tools {
  readonly leases: {
    /** Ends at most `limit` expired leases, in one commit. Returns the number ended. */
    expire(now: number, limit: number): Promise<number>;
    /** Returns when the next lease expires; null if none does. */
    nextExpiry(): Promise<number | null>;
  };
  /** Fires when leases ended. */
  readonly ended: Signal;
  readonly history: HistoryLimiter;
  readonly redactions: Pick<Redactions, "pruneSome">;
  readonly unusedRooms: Pick<SqliteUnusedRoomStore, "forget">;
  /** Called with the number of removed rooms. */
  readonly forgot: (rooms: number) => void;
}

/** Pause between two steps while there is more to do, in milliseconds. Others get their turn. */
const PAUSE_MS = 20;
/** Pause between two checks for work, in milliseconds. */
const EXPIRED_MS = 10_000;
const HISTORY_MS = 60_000;
/** One sweep through the journal serves all redactions since the last sweep. */
const REDACTED_MS = 10_000;
const UNUSED_MS = 60_000;
/** Leases ended in one commit. */
const LEASES_AT_ONCE = 200;
/** How long an unused room is remembered. An invite of the pseudouser that its tenant ignores is worth no more. */
export const UNUSED_KEPT_MS = 7 * 24 * 60 * 60_000;
/** Data kept by the hour is out of date by up to an hour. */
const HOUR_MS = 60 * 60_000;
/** Remembered rooms that we are not in, as long as unused rooms can be removed. */
export const UNUSED_KEPT = 10_000;

/**
 * Removes what time has made useless, until the signal aborts. Each kind has a worker, which does one commit at a time.
 * Data bounded by number alone is trimmed in the commit that adds to it (docs/ledger.md).
 */
export async function cleanUp(parts: CleaningParts, abort: AbortSignal): Promise<void> {
  const chores = [expiredLeases(parts), oldHistory(parts), redactedContent(parts), forgottenRooms(parts)];
  await Promise.all(chores.map((chore) => workUntil(abort, chore)));
}

/** Describes work that is done at least this often, also after a failure. */
function chore(every: number, clock: Clock, failed: Work["failed"], round: Work["round"]): Work {
  return { longest: every, failedRest: every, clock, failed, round };
}

/** Ends expired leases. */
export function expiredLeases({ leases, ended, clock, log }: Tools & Pick<CleaningParts, "leases" | "ended">): Work {
  const failed = (error: unknown): void => log.error("sweeper.round-failed", { error });
  // A lease booked meanwhile may expire sooner than the awaited one.
  return chore(EXPIRED_MS, clock, failed, async () => {
    const number = await leases.expire(clock.now(), LEASES_AT_ONCE);
    if (number > 0) ended.notify();
    return number === LEASES_AT_ONCE ? 0 : restUntil(await leases.nextExpiry(), clock);
  });
}

const REMEDY = "Get it to read again, or remove it. Until then the journal outgrows its limits.";

/** Returns the consumers in `these` that are not among `others`. */
function lackingIn(others: readonly LaggingConsumer[], these: readonly LaggingConsumer[]): readonly LaggingConsumer[] {
  return these.filter((one) => !others.some(({ consumer }) => consumer === one.consumer));
}

/** Trims the journal and the audit to their limits. Logs the consumers that have fallen behind or caught up since. */
export function oldHistory({ history, clock, log }: Tools & Pick<CleaningParts, "history">): Work {
  let before: readonly LaggingConsumer[] = [];
  const failed = (error: unknown): void => log.error("retention.round-failed", { error });
  return chore(HISTORY_MS, clock, failed, async () => {
    const { journal, audit, isMore } = await history.step(clock.now());
    if (journal !== null) log.debug("retention.journal-cut", { ...journal });
    if (audit > 0) log.debug("retention.audit-cut", { rows: audit });
    const now = history.laggingConsumers;
    for (const { consumer, behind, since } of lackingIn(before, now)) {
      log.warn("retention.held", { consumer, events_behind: behind, unread_since: since, remedy: REMEDY });
    }
    for (const { consumer } of lackingIn(now, before)) log.info("retention.released", { consumer });
    before = now;
    return isMore ? PAUSE_MS : null;
  });
}

/** Removes redacted content that is still in the journal. */
function redactedContent({ redactions, history, clock, log }: CleaningParts): Work {
  const failed = (error: unknown): void => log.error("journal.pruning-failed", { error });
  return chore(REDACTED_MS, clock, failed, async () => {
    const { rows, isMore } = await redactions.pruneSome();
    history.shrank(rows);
    if (rows.length > 0) log.debug("journal.pruned", { rows: rows.length });
    return isMore ? PAUSE_MS : null;
  });
}

/** Removes unused rooms. Ten thousand invites of the pseudouser must not leave ten thousand rows forever. */
function forgottenRooms({ unusedRooms, forgot, clock, log }: CleaningParts): Work {
  const failed = (error: unknown): void => log.error("unused-rooms.round-failed", { error });
  return chore(UNUSED_MS, clock, failed, async () => {
    const now = clock.now();
    const { rooms, isMore } = await unusedRooms.forget(now, now - UNUSED_KEPT_MS - HOUR_MS, UNUSED_KEPT);
    if (rooms > 0) {
      forgot(rooms);
      log.debug("unused-rooms.forgotten", { rooms });
    }
    return isMore ? PAUSE_MS : null;
  });
}
