import type { Database, Statement, Transaction } from "better-sqlite3";

/** Base of the stores. Sets the database before the fields of a subclass are made, which are its prepared statements. */
export abstract class Store {
  protected readonly db: Database;
  readonly #commit: Transaction<(work: () => unknown) => unknown>;

  constructor(db: Database) {
    this.db = db;
    this.#commit = db.transaction((work) => work());
  }

  protected sql<Args extends unknown[], Row = unknown>(text: string): Statement<Args, Row> {
    return this.db.prepare(text);
  }

  /** Prepares a statement that returns one value for each row. */
  protected value<Args extends unknown[], Value>(text: string): Statement<Args, Value> {
    return this.db.prepare(text).pluck() as Statement<Args, Value>;
  }

  /** Does a piece of work in one commit. If it throws, nothing of it is written. */
  protected commit<T>(work: () => T): T {
    return this.#commit.immediate(work) as T;
  }
}
