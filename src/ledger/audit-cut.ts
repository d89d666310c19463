import type { RetentionLimits } from "./cut.ts";
import type { AuditKind, AuditSize, RetentionStore } from "./store/retention.ts";

type AuditEnd = Pick<RetentionStore, "auditRows" | "trimAudit" | "trimAuditOf">;

const MEASURED = 1_000;
export const AUDIT_BATCH = 500;

/**
 * Keeps the audit within its limits. The operator's rows and all others get half of the size each, and what the other
 * half leaves free. So a user who fills the audit removes no row of the operator's. Measures as retention.ts does.
 */
export class AuditLimiter {
  readonly #store: AuditEnd;
  readonly #limits: RetentionLimits;
  readonly #bytes = { operators: 0, others: 0 };
  #rows = 0;
  #measured = 0;
  /** All rows of this kind up to this ID are gone. */
  readonly #passed = { operators: 0, others: 0 };

  constructor(store: AuditEnd, limits: RetentionLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Size of the rows measured so far. */
  get bytes(): number {
    return this.#bytes.operators + this.#bytes.others;
  }

  /** Returns the number of rows, from the IDs of the first and the last. */
  entries(first: number, last: number): number {
    return this.#rows + Math.max(0, last - Math.max(this.#measured, first - 1));
  }

  /** Returns the number of rows removed, and whether the next step should follow soon. */
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
    const kind: AuditKind = this.#bytes.others <= most / 2 ? "operators" : "others";
    const after = this.#passed[kind];
    // Others' rows shrink to their half first; the operator's rows give up the rest of the excess.
    let excess = Math.min(this.bytes - most, kind === "operators" ? Infinity : this.#bytes.others - most / 2);
    const gone: AuditSize[] = [];
    for (const row of await this.#store.auditRows(after, AUDIT_BATCH, kind)) {
      if (excess <= 0 || row.id > this.#measured) break;
      gone.push(row);
      excess -= row.bytes;
    }
    const through = gone.at(-1)?.id;
    if (through === undefined) return 0;
    await this.#store.trimAuditOf(kind, after, through);
    for (const row of gone) this.#forget(row);
    this.#passed[kind] = through;
    return gone.length;
  }

  #forget(row: AuditSize): void {
    if (row.id <= this.#measured) this.#add(row, -1);
  }

  #add(row: AuditSize, times: 1 | -1): void {
    this.#bytes[row.kind] += times * row.bytes;
    this.#rows += times;
  }
}
