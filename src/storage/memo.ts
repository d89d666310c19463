import type { Database, Statement } from "better-sqlite3";

/** How many values are remembered where nothing else is said; then all are forgotten. */
const KEPT = 2_000;

/** Tells whether anything in the database but the audit has changed. One process writes, over one connection. */
export class WriteCount {
  readonly #total: Statement<[], number>;
  #ofNoMatter = 0;

  constructor(db: Database) {
    // Reads no table, so it takes no lock, and costs a tenth of a look into one.
    this.#total = db.prepare<[], number>("SELECT total_changes()").pluck();
  }

  /** Rises with every row that is written, also by foreign keys and in transactions that are rolled back. */
  get now(): number {
    return (this.#total.get() ?? 0) - this.#ofNoMatter;
  }

  /** So many rows were written that nothing remembered depends on. */
  disregard(rows: number): void {
    this.#ofNoMatter += rows;
  }
}

/**
 * Answers of storage, for as long as nothing is written: a busy tenant asks for the same room and lease with each request, and
 * in between nothing has happened but its audit. Not to be asked inside a transaction, which may yet be rolled back.
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
