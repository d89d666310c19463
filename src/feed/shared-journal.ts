import type { Journal, JournalEntry } from "../ledger/journal.ts";

/** Entries of one batch, and how many batches are kept: tenants that keep up read the same one, those behind read their own. */
const BATCH = 100;
const KEPT = 4;

interface Batch {
  /** The batch has all entries numbered above this, up to its last. */
  readonly after: number;
  readonly last: number;
  readonly entries: readonly JournalEntry[];
}

/**
 * The journal for many readers: a batch that one of them has read is there for the others, so that an event for a hundred tenants
 * is parsed once. Entries change by redactions only, and then all are forgotten; a batch's end is just not the journal's.
 */
export class SharedJournal {
  readonly #journal: Pick<Journal, "read">;
  #kept: readonly Batch[] = [];
  #forgotten = 0;
  readonly #underWay = new Map<number, Promise<readonly JournalEntry[]>>();

  constructor(journal: Pick<Journal, "read">) {
    this.#journal = journal;
  }

  /** Some of the entries numbered above `after`, from the first on; empty only where there are none. */
  async following(after: number): Promise<readonly JournalEntry[]> {
    const kept = this.#kept.find((batch) => batch.after <= after && after < batch.last);
    if (kept !== undefined) return kept.entries.filter(({ seq }) => seq > after);
    const earlier = this.#underWay.get(after);
    if (earlier !== undefined) {
      const found = await earlier;
      if (found.length > 0) return found;
    }
    // The earlier read may have begun before there was what woke this reader; one that is there now began since.
    return this.#underWay.get(after) ?? this.#read(after);
  }

  /** Something in the journal was redacted. */
  forget(): void {
    this.#kept = [];
    this.#underWay.clear();
    this.#forgotten += 1;
  }

  async #read(after: number): Promise<readonly JournalEntry[]> {
    const forgotten = this.#forgotten;
    const reading = this.#journal.read(after, BATCH);
    this.#underWay.set(after, reading);
    try {
      const entries = await reading;
      const last = entries.at(-1)?.seq;
      if (last !== undefined && forgotten === this.#forgotten)
        this.#kept = [{ after, last, entries }, ...this.#kept].slice(0, KEPT);
      return entries;
    } finally {
      if (this.#underWay.get(after) === reading) this.#underWay.delete(after);
    }
  }
}
