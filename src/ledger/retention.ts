import { AuditLimiter } from "./audit-cut.ts";
import { BATCH, cutOf, laggingConsumersOf, type LaggingConsumer, type RetentionLimits } from "./cut.ts";
import type { HistoryExtent, RetentionStore } from "./store/retention.ts";

/** Rows read at once to measure the journal. */
const MEASURED = 1_000;

export interface Removed {
  readonly journal: { readonly rows: number; readonly through: number } | null;
  readonly audit: number;
  /** True if the next step should follow soon. */
  readonly isMore: boolean;
}

export type HistoryStore = Pick<RetentionStore, keyof RetentionStore>;

/** What the operator sees of journal and audit. */
export type History = Pick<HistoryLimiter, "extent" | "bytes" | "auditBytes" | "auditEntries" | "laggingConsumers">;

/**
 * Applies the limits, step by step. It measures the journal piece by piece, oldest first: adding it up at once would
 * delay transactions. Until all rows are measured, the size is too low and less is removed.
 */
export class HistoryLimiter {
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

  /** Size of the journal as measured so far, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The same for the audit. */
  get auditBytes(): number {
    return this.#audit.bytes;
  }

  /** Returns the number of audit entries between these ends. */
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
