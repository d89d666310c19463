import type { Database, Statement } from "better-sqlite3";
import type { AuditSize } from "../audit-cut.ts";
import type { JournalEdges, JournalRow } from "../cut.ts";
import type { Reader } from "../lagging-consumers.ts";
import type { HistoryExtent, HistoryStore } from "../retention.ts";
import { LAST_SEQ } from "./journal.ts";

// octet_length of a column reads the row's header only, not the body.
const ROW =
  "first_seq AS firstSeq, events, received_at AS receivedAt, octet_length(body) + octet_length(event_ids) AS bytes";

/** Approximate size of a row: its texts, and SQLite's overhead. */
const AUDIT_SIZE =
  "id, 24 + octet_length(actor) + octet_length(action) + octet_length(outcome) + coalesce(octet_length(room_id), 0) + " +
  "octet_length(detail) AS bytes, actor = 'operator' AS isOperators";

/** SQLite has no booleans. */
interface AuditSizeRow extends Omit<AuditSize, "isOperators"> {
  readonly isOperators: 0 | 1;
}

/** The old ends of the journal and the audit, where they are cut. */
export class RetentionStore implements HistoryStore {
  readonly #db: Database;
  readonly #rows: Statement<[number, number], JournalRow>;
  readonly #edges: Statement<[number], JournalEdges>;
  readonly #extent: Statement<[], HistoryExtent>;
  readonly #readers: Statement<[], Reader>;
  readonly #trim: Statement<[{ through: number }], JournalRow>;
  readonly #forgetRedactions: Statement<[]>;
  readonly #auditRows: Statement<[number, number], AuditSizeRow>;
  readonly #auditRowsOf: Statement<[number, 0 | 1, number], AuditSizeRow>;
  readonly #trimAudit: Statement<[{ before: number; limit: number }], AuditSizeRow>;
  readonly #trimAuditOf: Statement<[number, number, 0 | 1]>;

  constructor(db: Database) {
    this.#db = db;
    this.#rows = db.prepare(`SELECT ${ROW} FROM journal WHERE first_seq > ? ORDER BY first_seq LIMIT ?`);
    this.#edges = db.prepare(
      `SELECT ${LAST_SEQ} AS last, ` +
        "coalesce((SELECT first_seq FROM journal ORDER BY first_seq DESC LIMIT 1 OFFSET ?), 0) AS recentFrom, " +
        "(SELECT min(seq) FROM cursors) AS lowestCursor",
    );
    // Each of these is the first or last entry of a key.
    this.#extent = db.prepare(
      "SELECT (SELECT received_at FROM journal ORDER BY first_seq LIMIT 1) AS journalOldestAt, " +
        "coalesce((SELECT min(id) FROM audit), 0) AS auditFirst, coalesce((SELECT max(id) FROM audit), 0) AS auditLast, " +
        "(SELECT at FROM audit ORDER BY id LIMIT 1) AS auditOldestAt",
    );
    // The next event's row is the last that begins at or before it; for a cursor in the removed part, the oldest row.
    this.#readers = db.prepare(
      "SELECT c.consumer, c.seq, j.received_at AS unreadAt, j.first_seq + j.events - 1 AS unreadRowEnd " +
        "FROM cursors c JOIN journal j ON j.first_seq = coalesce(" +
        "(SELECT max(first_seq) FROM journal WHERE first_seq <= c.seq + 1), (SELECT min(first_seq) FROM journal)) " +
        `WHERE c.seq < ${LAST_SEQ} ORDER BY c.seq, c.consumer`,
    );
    // The same commit reads the cursor again: a consumer may have registered since the decision. The newest row always
    // stays: it has the next number.
    this.#trim = db.prepare(
      "DELETE FROM journal WHERE first_seq <= @through AND first_seq < (SELECT max(first_seq) FROM journal) AND " +
        "first_seq + events - 1 <= min(@through, coalesce((SELECT min(seq) FROM cursors), @through)) " +
        `RETURNING ${ROW}`,
    );
    // A redaction's target came before it. The exception is a homeserver that sends events out of order, within the
    // same period.
    this.#forgetRedactions = db.prepare("DELETE FROM redactions WHERE seq < (SELECT min(first_seq) FROM journal)");
    // Entries are in order of time, unless the clock was set. So only the oldest are checked, and times need no index.
    this.#trimAudit = db.prepare(
      "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT @limit) WHERE at < @before) " +
        `RETURNING ${AUDIT_SIZE}`,
    );
    this.#auditRows = db.prepare(`SELECT ${AUDIT_SIZE} FROM audit WHERE id > ? ORDER BY id LIMIT ?`);
    this.#auditRowsOf = db.prepare(
      `SELECT ${AUDIT_SIZE} FROM audit WHERE id > ? AND (actor = 'operator') = ? ORDER BY id LIMIT ?`,
    );
    this.#trimAuditOf = db.prepare("DELETE FROM audit WHERE id > ? AND id <= ? AND (actor = 'operator') = ?");
  }

  async rows(after: number, limit: number): Promise<readonly JournalRow[]> {
    return this.#rows.all(after, limit);
  }

  async edges(nthNewest: number): Promise<JournalEdges> {
    const edges = this.#edges.get(nthNewest - 1);
    if (edges === undefined) throw new Error("a SELECT without FROM returned nothing");
    return edges;
  }

  async extent(): Promise<HistoryExtent> {
    const extent = this.#extent.get();
    if (extent === undefined) throw new Error("a SELECT without FROM returned nothing");
    return extent;
  }

  async readers(): Promise<readonly Reader[]> {
    return this.#readers.all();
  }

  async trim(through: number): Promise<readonly JournalRow[]> {
    return this.#db
      .transaction(() => {
        const gone = this.#trim.all({ through });
        if (gone.length > 0) this.#forgetRedactions.run();
        return gone;
      })
      .immediate();
  }

  async auditRows(after: number, limit: number, isOperators?: boolean): Promise<readonly AuditSize[]> {
    if (isOperators === undefined) return this.#auditRows.all(after, limit).map(sizeOf);
    return this.#auditRowsOf.all(after, isOperators ? 1 : 0, limit).map(sizeOf);
  }

  async trimAudit(before: number, limit: number): Promise<readonly AuditSize[]> {
    return this.#db
      .transaction(() => this.#trimAudit.all({ before, limit }))
      .immediate()
      .map(sizeOf);
  }

  async trimAuditOf(isOperators: boolean, after: number, through: number): Promise<void> {
    this.#trimAuditOf.run(after, through, isOperators ? 1 : 0);
  }
}

function sizeOf({ id, bytes, isOperators }: AuditSizeRow): AuditSize {
  return { id, bytes, isOperators: isOperators === 1 };
}
