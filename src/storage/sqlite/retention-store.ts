import type { Database, Statement } from "better-sqlite3";
import type { HistoryStore, JournalEdges, JournalRow } from "../../ledger/retention.ts";

// octet_length of a column is read from the row's header: the bodies themselves are not.
const ROW =
  "first_seq AS firstSeq, events, received_at AS receivedAt, octet_length(body) + octet_length(event_ids) AS bytes";

/** The end of the journal and of the audit where they are cut. */
export class RetentionStore implements HistoryStore {
  readonly #db: Database;
  readonly #rows: Statement<[number, number], JournalRow>;
  readonly #edges: Statement<[number], JournalEdges>;
  readonly #trim: Statement<[{ through: number }], JournalRow>;
  readonly #trimAudit: Statement<[{ before: number; limit: number }]>;

  constructor(db: Database) {
    this.#db = db;
    this.#rows = db.prepare(`SELECT ${ROW} FROM journal WHERE first_seq > ? ORDER BY first_seq LIMIT ?`);
    this.#edges = db.prepare(
      "SELECT (SELECT next_seq - 1 FROM journal_end) AS last, " +
        "coalesce((SELECT first_seq FROM journal ORDER BY first_seq DESC LIMIT 1 OFFSET ?), 0) AS recentFrom, " +
        "(SELECT min(seq) FROM cursors) AS lowestCursor",
    );
    // The cursor is looked at once more, in the same commit: a consumer may have registered since it was decided.
    this.#trim = db.prepare(
      "DELETE FROM journal WHERE first_seq <= @through AND " +
        "first_seq + events - 1 <= min(@through, coalesce((SELECT min(seq) FROM cursors), @through)) " +
        `RETURNING ${ROW}`,
    );
    // Entries are in the order of time, but for a clock that was set: so the oldest are looked at, and need no index of times.
    this.#trimAudit = db.prepare(
      "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT @limit) WHERE at < @before)",
    );
  }

  async rows(after: number, limit: number): Promise<readonly JournalRow[]> {
    return this.#rows.all(after, limit);
  }

  async edges(nthNewest: number): Promise<JournalEdges> {
    const edges = this.#edges.get(nthNewest - 1);
    if (edges === undefined) throw new Error("a SELECT without FROM returned nothing");
    return edges;
  }

  async trim(through: number): Promise<readonly JournalRow[]> {
    return this.#db.transaction(() => this.#trim.all({ through })).immediate();
  }

  async trimAudit(before: number, limit: number): Promise<number> {
    return this.#trimAudit.run({ before, limit }).changes;
  }
}
