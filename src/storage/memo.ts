import type { Database, Statement } from "better-sqlite3";

/** Default number of cached values; the next one clears the cache. */
const KEPT = 2_000;

/** Tells whether anything in the database but the audit has changed. One process writes, over one connection. */
export class WriteCount {
  readonly #total: Statement<[], number>;
  #ofNoMatter = 0;

  constructor(db: Database) {
    // Reads no table, so it takes no lock and costs a tenth of reading one.
    this.#total = db.prepare<[], number>("SELECT total_changes()").pluck();
  }

  /** Rises with every written row, also by foreign keys and in transactions that are rolled back. */
  get now(): number {
    return (this.#total.get() ?? 0) - this.#ofNoMatter;
  }

  /** Excludes this many written rows, which no cached value depends on. */
  disregard(rows: number): void {
    this.#ofNoMatter += rows;
  }
}

/**
 * Read cache, cleared by any write. A busy tenant asks for the same room and lease with each request, and writes
 * nothing in between but its audit. Do not use it inside a transaction, which may be rolled back.
 */
export class Memo<Value> {
  readonly #writes: WriteCount;
  readonly #kept: number;
  readonly #values = new Map<string, Value>();
  #asOf = -1;

  constructor(writes: WriteCount, kept = KEPT) {
    this.#writes = writes;
    this.#kept = kept;
  }

  get(key: string, read: () => Value): Value {
    const now = this.#writes.now;
    if (now !== this.#asOf) {
      this.#values.clear();
      this.#asOf = now;
    }
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const value = read();
    if (this.#values.size >= this.#kept) this.#values.clear();
    this.#values.set(key, value);
    return value;
  }
}
