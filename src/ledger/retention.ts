import { AuditLimiter, type AuditEnd } from "./audit-cut.ts";
import { BATCH, cutOf, type JournalEdges, type JournalRow, type RetentionLimits } from "./cut.ts";
import { laggingConsumersOf, type LaggingConsumer, type Reader } from "./lagging-consumers.ts";

/** What journal and audit hold. It is read from the ends of both, so asking costs the same however long they are. */
export interface HistoryExtent {
  /** When the journal's oldest row arrived; null if there is none. */
  readonly journalOldestAt: number | null;
  /** The IDs of the audit's first and last entry; 0 if there is none. */
  readonly auditFirst: number;
  readonly auditLast: number;
  readonly auditOldestAt: number | null;
}

/** The parts of the database that grow with time. Each call is one commit. */
export interface HistoryStore extends AuditEnd {
  extent(): Promise<HistoryExtent>;
  readers(): Promise<readonly Reader[]>;
  /** Returns rows that begin after `after`, oldest first, at most `limit`. */
  rows(after: number, limit: number): Promise<readonly JournalRow[]>;
  edges(nthNewest: number): Promise<JournalEdges>;
  /** Removes rows that end at or before `through`, except unread ones. Returns the removed rows. */
  trim(through: number): Promise<readonly JournalRow[]>;
}

/** Rows read at once to measure the journal. */
const MEASURED = 1_000;

export interface Removed {
  readonly journal: { readonly rows: number; readonly through: number } | null;
  readonly audit: number;
  /** True if the next step should follow soon. */
  readonly isMore: boolean;
}

/** What the operator sees of journal and audit. */
export interface History {
  extent(): Promise<HistoryExtent>;
  /** Size of the journal as measured so far, in bytes. */
  readonly bytes: number;
  /** The same for the audit. */
  readonly auditBytes: number;
  /** Returns the number of audit entries between these ends. */
  auditEntries(extent: HistoryExtent): number;
  readonly laggingConsumers: readonly LaggingConsumer[];
}

/**
 * Applies the limits, step by step. It measures the journal piece by piece, from the oldest row on, and then keeps the
 * size up to date: adding it up at once would read the whole journal while a transaction waits. Until all rows are
 * measured, the size is too low and less is removed.
 */
export class HistoryLimiter implements History {
  readonly #store: HistoryStore;
  readonly #limits: RetentionLimits;
  readonly #audit: AuditLimiter;
  #bytes = 0;
  /** Where the last measured row begins. */
  #measured = 0;
  #laggingConsumers: readonly LaggingConsumer[] = [];

  constructor(store: HistoryStore, limits: RetentionLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#audit = new AuditLimiter(store, limits);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get auditBytes(): number {
    return this.#audit.bytes;
  }

  auditEntries({ auditFirst, auditLast }: HistoryExtent): number {
    return this.#audit.entries(auditFirst, auditLast);
  }

  /** As found by the newest step. */
  get laggingConsumers(): readonly LaggingConsumer[] {
    return this.#laggingConsumers;
  }

  extent(): Promise<HistoryExtent> {
    return this.#store.extent();
  }

  /** Called with rows that were rewritten and are now smaller. */
  shrank(rows: readonly { readonly firstSeq: number; readonly by: number }[]): void {
    for (const { firstSeq, by } of rows) if (firstSeq <= this.#measured) this.#bytes -= by;
  }

  async step(now: number): Promise<Removed> {
    const isMeasuring = await this.#measure();
    const journal = await this.#cutJournal(now);
    const audit = await this.#audit.step(now);
    return { journal, audit: audit.removed, isMore: isMeasuring || journal !== null || audit.isMore };
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
    const state = { now, bytes: this.#bytes, ...edges };
    const through = cutOf(oldest, state, this.#limits);
    this.#laggingConsumers =
      edges.lowestCursor === null ? [] : laggingConsumersOf(await this.#store.readers(), oldest, state, this.#limits);
    if (through === 0) return null;
    const gone = await this.#store.trim(through);
    for (const row of gone) if (row.firstSeq <= this.#measured) this.#bytes -= row.bytes;
    return gone.length === 0 ? null : { rows: gone.length, through };
  }
}
