import { Store } from "../../storage/store.ts";
import type { JournalEdges, JournalRow, Reader } from "../cut.ts";
import { LAST_SEQ } from "./journal.ts";

/** What journal and audit hold. It is read from the ends of both, so asking costs the same however long they are. */
export interface HistoryExtent {
  /** When the journal's oldest row arrived; null if there is none. */
  readonly journalOldestAt: number | null;
  /** The IDs of the audit's first and last entry; 0 if there is none. */
  readonly auditFirst: number;
  readonly auditLast: number;
  readonly auditOldestAt: number | null;
}

/** An audit row and its size. */
export interface AuditSize {
  readonly id: number;
  readonly bytes: number;
  /** `operators`: the operator's own actions. Tenants and strangers can cause all others. */
  readonly kind: AuditKind;
}
export type AuditKind = "operators" | "others";

// octet_length of a column reads the row's header only, not the body.
const ROW =
  "first_seq AS firstSeq, events, received_at AS receivedAt, octet_length(body) + octet_length(event_ids) AS bytes";

const KIND = "iif(actor = 'operator', 'operators', 'others')";
/** The size is approximate: the row's texts, and SQLite's overhead. */
const AUDIT_SIZE = `id, ${KIND} AS kind,
  24 + octet_length(actor) + octet_length(action) + octet_length(outcome) + coalesce(octet_length(room_id), 0) +
    octet_length(detail) AS bytes`;

/** The old ends of the journal and the audit, where they are cut. Each call is one commit. */
export class RetentionStore extends Store {
  readonly #rows = this.sql<[number, number], JournalRow>(`
    SELECT ${ROW} FROM journal WHERE first_seq > ? ORDER BY first_seq LIMIT ?`);
  readonly #edges = this.sql<[number], JournalEdges>(`
    SELECT ${LAST_SEQ} AS last,
      coalesce((SELECT first_seq FROM journal ORDER BY first_seq DESC LIMIT 1 OFFSET ?), 0) AS recentFrom,
      (SELECT min(seq) FROM cursors) AS lowestCursor`);
  // Each of these is the first or last entry of a key.
  readonly #extent = this.sql<[], HistoryExtent>(`
    SELECT (SELECT received_at FROM journal ORDER BY first_seq LIMIT 1) AS journalOldestAt,
      coalesce((SELECT min(id) FROM audit), 0) AS auditFirst, coalesce((SELECT max(id) FROM audit), 0) AS auditLast,
      (SELECT at FROM audit ORDER BY id LIMIT 1) AS auditOldestAt`);
  // The next event's row is the last that begins at or before it; for a cursor in the removed part, the oldest row.
  readonly #readers = this.sql<[], Reader>(`
    SELECT c.consumer, c.seq, j.received_at AS unreadAt, j.first_seq + j.events - 1 AS unreadRowEnd
    FROM cursors c JOIN journal j ON j.first_seq = coalesce(
      (SELECT max(first_seq) FROM journal WHERE first_seq <= c.seq + 1), (SELECT min(first_seq) FROM journal))
    WHERE c.seq < ${LAST_SEQ} ORDER BY c.seq, c.consumer`);
  // Reads the cursor again: a consumer may have registered since. The newest row stays: it has the next number.
  readonly #trim = this.sql<[{ through: number }], JournalRow>(`
    DELETE FROM journal WHERE first_seq <= @through AND first_seq < (SELECT max(first_seq) FROM journal)
      AND first_seq + events - 1 <= min(@through, coalesce((SELECT min(seq) FROM cursors), @through))
    RETURNING ${ROW}`);
  // A redaction's target came before it, or, if events are out of order, within the same period.
  readonly #forgetRedactions = this.sql<[]>("DELETE FROM redactions WHERE seq < (SELECT min(first_seq) FROM journal)");
  // Entries are in order of time, unless the clock was set. So only the oldest are checked, and times need no index.
  readonly #trimAudit = this.sql<[{ before: number; limit: number }], AuditSize>(`
    DELETE FROM audit WHERE id IN
      (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT @limit) WHERE at < @before)
    RETURNING ${AUDIT_SIZE}`);
  readonly #auditRows = this.sql<[number, number], AuditSize>(`
    SELECT ${AUDIT_SIZE} FROM audit WHERE id > ? ORDER BY id LIMIT ?`);
  readonly #auditRowsOf = this.sql<[number, AuditKind, number], AuditSize>(`
    SELECT ${AUDIT_SIZE} FROM audit WHERE id > ? AND ${KIND} = ? ORDER BY id LIMIT ?`);
  readonly #trimAuditOf = this.sql<[number, number, AuditKind]>(`
    DELETE FROM audit WHERE id > ? AND id <= ? AND ${KIND} = ?`);

  /** Returns rows that begin after `after`, oldest first, at most `limit`. */
  async rows(after: number, limit: number): Promise<readonly JournalRow[]> {
    return this.#rows.all(after, limit);
  }

  async edges(nthNewest: number): Promise<JournalEdges> {
    return only(this.#edges.get(nthNewest - 1));
  }

  async extent(): Promise<HistoryExtent> {
    return only(this.#extent.get());
  }

  async readers(): Promise<readonly Reader[]> {
    return this.#readers.all();
  }

  /** Removes rows that end at or before `through`, except unread ones. Returns the removed rows. */
  async trim(through: number): Promise<readonly JournalRow[]> {
    return this.commit(() => {
      const gone = this.#trim.all({ through });
      if (gone.length > 0) this.#forgetRedactions.run();
      return gone;
    });
  }

  /** Returns rows with IDs above `after`, in order, at most `limit`; of one kind only if `kind` is given. */
  async auditRows(after: number, limit: number, kind?: AuditKind): Promise<readonly AuditSize[]> {
    return kind === undefined ? this.#auditRows.all(after, limit) : this.#auditRowsOf.all(after, kind, limit);
  }

  /** Removes the oldest rows written before `before`, at most `limit`. Returns the removed rows. */
  async trimAudit(before: number, limit: number): Promise<readonly AuditSize[]> {
    return this.commit(() => this.#trimAudit.all({ before, limit }));
  }

  /** Removes the rows of one kind with IDs above `after`, up to `through`. */
  async trimAuditOf(kind: AuditKind, after: number, through: number): Promise<void> {
    this.#trimAuditOf.run(after, through, kind);
  }
}

function only<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new Error("a SELECT without FROM returned nothing");
  return row;
}
