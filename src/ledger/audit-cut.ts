import type { RetentionLimits } from "./cut.ts";

/** A row of the audit, as what it takes. */
export interface AuditSize {
  readonly id: number;
  readonly bytes: number;
  /** The operator's own deeds; all others can be brought about by tenants and strangers. */
  readonly isOperators: boolean;
}

/** The end of the audit where it is cut. Each call is one commit. */
export interface AuditEnd {
  /** Rows with a higher ID than `after`, in order, at most `limit`; of one kind only where that is said. */
  auditRows(after: number, limit: number, isOperators?: boolean): Promise<readonly AuditSize[]>;
  /** Removes the oldest rows that are from before `before`, at most `limit`; the rows removed. */
  trimAudit(before: number, limit: number): Promise<readonly AuditSize[]>;
  /** Removes the rows of one kind with IDs above `after`, up to `through`. */
  trimAuditOf(isOperators: boolean, after: number, through: number): Promise<void>;
}

const MEASURED = 1_000;
export const AUDIT_BATCH = 500;

/**
 * Keeps the audit within its age and its size. Half of the size is the operator's, and half everybody else's; each may have what the
 * other leaves free. So whoever fills the audit with deeds of his own removes none of the operator's. Its size is
 * measured piece by piece, as the journal's is (retention.ts): until all is, it is too small, and less is removed.
 */
export class AuditLimiter {
  readonly #store: AuditEnd;
  readonly #limits: Pick<RetentionLimits, "auditKeep" | "auditMaxSize">;
  readonly #bytes = { operators: 0, others: 0 };
  #rows = 0;
  #measured = 0;
  /** Up to here no row of this kind is left. */
  readonly #passed = { operators: 0, others: 0 };

  constructor(store: AuditEnd, limits: Pick<RetentionLimits, "auditKeep" | "auditMaxSize">) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Of what is measured. */
  get bytes(): number {
    return this.#bytes.operators + this.#bytes.others;
  }

  /** How many rows there are, by the IDs of the first and the last. Where rows went from between, they are known of. */
  entries(first: number, last: number): number {
    return this.#rows + Math.max(0, last - Math.max(this.#measured, first - 1));
  }

  /** How many rows this step removed, and whether the next should follow soon. */
  async step(now: number): Promise<{ readonly removed: number; readonly isMore: boolean }> {
    const isMeasuring = await this.#measure();
    const old = await this.#store.trimAudit(now - this.#limits.auditKeep, AUDIT_BATCH);
    for (const row of old) this.#forget(row);
    const over = await this.#cutSize();
    return { removed: old.length + over, isMore: isMeasuring || old.length === AUDIT_BATCH || over > 0 };
  }

  async #measure(): Promise<boolean> {
    const rows = await this.#store.auditRows(this.#measured, MEASURED);
    for (const row of rows) this.#add(row, 1);
    this.#measured = rows.at(-1)?.id ?? this.#measured;
    return rows.length === MEASURED;
  }

  async #cutSize(): Promise<number> {
    const most = this.#limits.auditMaxSize;
    if (this.bytes <= most) return 0;
    const isOperators = this.#bytes.others <= most / 2;
    const kind = kindOf({ isOperators });
    const after = this.#passed[kind];
    // Others' rows go down to their half, and what is too much then is the operator's.
    let excess = Math.min(this.bytes - most, isOperators ? Infinity : this.#bytes.others - most / 2);
    const gone: AuditSize[] = [];
    for (const row of await this.#store.auditRows(after, AUDIT_BATCH, isOperators)) {
      if (excess <= 0 || row.id > this.#measured) break;
      gone.push(row);
      excess -= row.bytes;
    }
    const through = gone.at(-1)?.id;
    if (through === undefined) return 0;
    await this.#store.trimAuditOf(isOperators, after, through);
    for (const row of gone) this.#forget(row);
    this.#passed[kind] = through;
    return gone.length;
  }

  #forget(row: AuditSize): void {
    if (row.id <= this.#measured) this.#add(row, -1);
  }

  #add(row: AuditSize, times: 1 | -1): void {
    this.#bytes[kindOf(row)] += times * row.bytes;
    this.#rows += times;
  }
}

function kindOf({ isOperators }: Pick<AuditSize, "isOperators">): "operators" | "others" {
  return isOperators ? "operators" : "others";
}
