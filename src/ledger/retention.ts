import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";

/** A row of the journal: one transaction of the homeserver, with the numbers of its events. */
export interface JournalRow {
  readonly firstSeq: number;
  readonly events: number;
  readonly receivedAt: number;
  readonly bytes: number;
}

export interface RetentionLimits {
  /** Rows older than this may go, milliseconds. */
  readonly journalKeep: number;
  /** The oldest rows go while all of them together are larger, bytes. */
  readonly journalMaxSize: number;
  readonly auditKeep: number;
  /** What the recorder reads back at a start: so many newest events and transactions stay whatever the other limits say. */
  readonly memory: { readonly events: number; readonly transactions: number };
}

/** Where the journal ends, and who still has to read it. */
export interface JournalEdges {
  /** The number of the newest event. */
  readonly last: number;
  /** Where the row begins that is the n-th newest; 0 where there are fewer. */
  readonly recentFrom: number;
  /** The lowest cursor of all consumers; null where there is no consumer. */
  readonly lowestCursor: number | null;
}

/** What of the database grows with time. Each call is one commit. */
export interface HistoryStore {
  /** Rows that begin after `after`, oldest first, at most `limit`. */
  rows(after: number, limit: number): Promise<readonly JournalRow[]>;
  edges(nthNewest: number): Promise<JournalEdges>;
  /** Removes rows whose last number is at most `through`, and no row that a consumer has yet to read. The rows removed. */
  trim(through: number): Promise<readonly JournalRow[]>;
  /** Removes the oldest entries of the audit that are from before `before`, at most `limit`; how many. */
  trimAudit(before: number, limit: number): Promise<number>;
}

/** Removed in one commit, so that no transaction of the homeserver waits long for its own. */
export const BATCH = { rows: 200, bytes: 4 * 1024 * 1024 } as const;
/** Read at once to learn the journal's size. */
const MEASURED = 1_000;
const AUDIT_BATCH = 500;
/** Between two steps where nothing more was to be done, and where there is more, milliseconds. */
const ROUND_MS = 60_000;
const PAUSE_MS = 20;

export interface JournalState extends JournalEdges {
  readonly now: number;
  /** Of the whole journal. */
  readonly bytes: number;
}

/**
 * Up to which number the journal may be cut: 0 for not at all. Rows go whole, oldest first; none goes that holds anything above
 * the lowest cursor, or that the recorder needs to know repetitions by.
 * @param oldest the journal's oldest rows, in order
 */
export function cutOf(oldest: readonly JournalRow[], state: JournalState, limits: RetentionLimits): number {
  const { now, last, recentFrom, lowestCursor } = state;
  // Numbers have no gaps, so the newest n events are those above last - n.
  const spared = Math.min(last - limits.memory.events, recentFrom - 1, lowestCursor ?? Infinity);
  let cut = 0;
  let left = state.bytes;
  let removed = 0;
  for (const row of oldest.slice(0, BATCH.rows)) {
    const lastOfRow = row.firstSeq + row.events - 1;
    const isOver = now - row.receivedAt > limits.journalKeep || left > limits.journalMaxSize;
    if (lastOfRow > spared || !isOver || (removed > 0 && removed + row.bytes > BATCH.bytes)) break;
    cut = lastOfRow;
    left -= row.bytes;
    removed += row.bytes;
  }
  return cut;
}

/** What one small step has removed. */
export interface Removed {
  readonly journal: { readonly rows: number; readonly through: number } | null;
  readonly audit: number;
  /** True where the next step should follow soon. */
  readonly isMore: boolean;
}

/**
 * Applies the limits, step by step. It knows the journal's size because it measures it piece by piece, from the oldest row on,
 * and then keeps up with it: adding it up in one go would read the whole journal while a transaction waits. Until all of it is
 * measured the size is too small, and less is removed.
 */
export class HistoryLimiter {
  readonly #store: HistoryStore;
  readonly #limits: RetentionLimits;
  #bytes = 0;
  /** Where the last row begins that was measured. */
  #measured = 0;

  constructor(store: HistoryStore, limits: RetentionLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  async step(now: number): Promise<Removed> {
    const isMeasuring = await this.#measure();
    const journal = await this.#cutJournal(now);
    const audit = await this.#store.trimAudit(now - this.#limits.auditKeep, AUDIT_BATCH);
    return { journal, audit, isMore: isMeasuring || journal !== null || audit === AUDIT_BATCH };
  }

  async #measure(): Promise<boolean> {
    const rows = await this.#store.rows(this.#measured, MEASURED);
    for (const row of rows) this.#bytes += row.bytes;
    this.#measured = rows.at(-1)?.firstSeq ?? this.#measured;
    return rows.length === MEASURED;
  }

  async #cutJournal(now: number): Promise<Removed["journal"]> {
    const edges = await this.#store.edges(this.#limits.memory.transactions);
    const oldest = await this.#store.rows(0, BATCH.rows);
    const through = cutOf(oldest, { now, bytes: this.#bytes, ...edges }, this.#limits);
    if (through === 0) return null;
    const gone = await this.#store.trim(through);
    for (const row of gone) if (row.firstSeq <= this.#measured) this.#bytes -= row.bytes;
    return gone.length === 0 ? null : { rows: gone.length, through };
  }
}

export interface RetentionParts {
  readonly store: HistoryStore;
  readonly limits: RetentionLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortSignal;
}

/** Keeps journal and audit within their limits until the signal aborts. A step that fails is told and made again. */
export async function limitHistory({ store, limits, clock, log, abort }: RetentionParts): Promise<void> {
  const limiter = new HistoryLimiter(store, limits);
  while (!abort.aborted) {
    let wait = ROUND_MS;
    try {
      const { journal, audit, isMore } = await limiter.step(clock.now());
      if (journal !== null) log.debug("retention.journal-cut", { ...journal });
      if (audit > 0) log.debug("retention.audit-cut", { rows: audit });
      if (isMore) wait = PAUSE_MS;
    } catch (error) {
      log.error("retention.round-failed", { error });
    }
    await clock.sleep(wait, abort);
  }
}
