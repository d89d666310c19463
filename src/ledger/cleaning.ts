import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import type { Signal } from "../concurrency/signal.ts";
import { restUntil, workUntil, type Work } from "../concurrency/worker.ts";
import { tellLaggingConsumers, type LaggingConsumer } from "./lagging-consumers.ts";
import type { HistoryLimiter } from "./retention.ts";

/** Leases that end by themselves. Each call is one commit. */
export interface ExpiryStore {
  /** Ends at most `limit` leases whose time is over; the number ended. */
  expire(now: number, limit: number): Promise<number>;
  /** When the next one expires; null for none that does. */
  nextExpiry(): Promise<number | null>;
}

/** What one small step has taken out of the journal. */
export interface Pruned {
  /** Rows that were written anew, and by how many bytes they have shrunk. */
  readonly rows: readonly { readonly firstSeq: number; readonly by: number }[];
  /** True where the next step should follow soon. */
  readonly isMore: boolean;
}

export interface PruneStore {
  /** Takes what was redacted out of some rows of the journal, in one commit. Readers have not been given it since its redaction came. */
  pruneSome(): Promise<Pruned>;
}

/** Rooms that nobody wants: we are not in them, nobody has a lease there, and nothing is under way. */
export interface UnusedRoomStore {
  /**
   * Removes some of the rooms that nobody wants, and all that is known of them, in one commit: those of which nothing was heard since
   * `before`, and of the others the oldest where we know more than `kept` rooms that we are not in.
   */
  forget(now: number, before: number, kept: number): Promise<{ readonly rooms: number; readonly isMore: boolean }>;
}

interface Tools {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface CleaningParts extends Tools {
  readonly leases: ExpiryStore;
  /** Is fired when leases ended. */
  readonly ended: Signal;
  readonly history: HistoryLimiter;
  readonly redactions: PruneStore;
  readonly strangers: UnusedRoomStore;
  /** Told how many rooms are gone. */
  readonly forgot: (rooms: number) => void;
}

/** Between two steps of what has more to do, milliseconds: others have their turn. */
const PAUSE_MS = 20;
/** Between two looks whether there is something to do, milliseconds. */
const EXPIRED_MS = 10_000;
const HISTORY_MS = 60_000;
/** Each sweep through the journal is for all redactions that came since the one before. */
const REDACTED_MS = 10_000;
const STRANGERS_MS = 60_000;
/** Leases ended in one commit. */
const LEASES_AT_ONCE = 200;
/** How long a room that nobody wants is remembered: an invite of the pseudouser that its tenant does not take up is worth no more. */
export const STRANGERS_KEPT_MS = 7 * 24 * 60 * 60_000;
/** What is kept to the hour is out of date by up to an hour. */
const HOUR_MS = 60 * 60_000;
/** How many rooms that we are not in are remembered, where the others are wanted by nobody. */
export const STRANGERS_KEPT = 10_000;

/**
 * Removes what time has made useless, until the signal aborts. Each kind has a worker of its own, so that none waits for another, and goes
 * in steps of one commit each. What is bounded by number alone is trimmed in the commit that adds to it (docs/architecture.md, "Cleaning up").
 */
export async function cleanUp(parts: CleaningParts, abort: AbortSignal): Promise<void> {
  const chores = [expiredLeases(parts), oldHistory(parts), redactedContent(parts), unwantedRooms(parts)];
  await Promise.all(chores.map((chore) => workUntil(abort, chore)));
}

/** Leases whose time is over. */
export function expiredLeases({ leases, ended, clock, log }: Tools & Pick<CleaningParts, "leases" | "ended">): Work {
  return {
    // A lease that is booked meanwhile may expire sooner than the one that is waited for.
    longest: EXPIRED_MS,
    round: async () => {
      const number = await leases.expire(clock.now(), LEASES_AT_ONCE);
      if (number > 0) ended.notify();
      return number === LEASES_AT_ONCE ? 0 : restUntil(await leases.nextExpiry(), clock);
    },
    failedRest: EXPIRED_MS,
    failed: (error) => log.error("sweeper.round-failed", { error }),
    clock,
  };
}

/** What of journal and audit is over their limits. */
export function oldHistory({ history, clock, log }: Tools & Pick<CleaningParts, "history">): Work {
  let told: readonly LaggingConsumer[] = [];
  return {
    longest: HISTORY_MS,
    round: async () => {
      const { journal, audit, isMore } = await history.step(clock.now());
      if (journal !== null) log.debug("retention.journal-cut", { ...journal });
      if (audit > 0) log.debug("retention.audit-cut", { rows: audit });
      tellLaggingConsumers(told, history.laggingConsumers, log);
      told = history.laggingConsumers;
      return isMore ? PAUSE_MS : null;
    },
    failedRest: HISTORY_MS,
    failed: (error) => log.error("retention.round-failed", { error }),
    clock,
  };
}

/** What was redacted and still stands in the journal. */
function redactedContent({ redactions, history, clock, log }: CleaningParts): Work {
  return {
    longest: REDACTED_MS,
    round: async () => {
      const { rows, isMore } = await redactions.pruneSome();
      history.shrank(rows);
      if (rows.length > 0) log.debug("journal.pruned", { rows: rows.length });
      return isMore ? PAUSE_MS : null;
    },
    failedRest: REDACTED_MS,
    failed: (error) => log.error("journal.pruning-failed", { error }),
    clock,
  };
}

/** Whoever invites the pseudouser into ten thousand rooms is not to leave ten thousand rows with us for ever. */
function unwantedRooms({ strangers, forgot, clock, log }: CleaningParts): Work {
  return {
    longest: STRANGERS_MS,
    round: async () => {
      const now = clock.now();
      const { rooms, isMore } = await strangers.forget(now, now - STRANGERS_KEPT_MS - HOUR_MS, STRANGERS_KEPT);
      if (rooms > 0) {
        forgot(rooms);
        log.debug("unused-rooms.forgotten", { rooms });
      }
      return isMore ? PAUSE_MS : null;
    },
    failedRest: STRANGERS_MS,
    failed: (error) => log.error("unused-rooms.round-failed", { error }),
    clock,
  };
}
