import type { Database } from "better-sqlite3";
import type { AuditEntry, AuditRow } from "../model/audit.ts";
import type { JsonObject } from "../model/json.ts";
import type { WriteCount } from "./memo.ts";
import { Store } from "./store.ts";

/** SQLite's number for commits that wait for the disk (PRAGMA synchronous). */
const FULL = 2;

/** The audit. Other stores write its rows in their own transactions: action and trace are one commit. */
export class AuditStore extends Store {
  readonly #insert = this.sql<[number, string, string, string, string | null, string]>(`
    INSERT INTO audit (at, actor, action, outcome, room_id, detail) VALUES (?, ?, ?, ?, ?, ?)`);
  readonly #page = this.sql<[number, number], Omit<AuditRow, "detail"> & { detail: string }>(`
    SELECT id, at, actor, action, outcome, room_id AS roomId, detail FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?`);
  readonly #notes = this.db.transaction((entries: readonly AuditEntry[], at: number, beside: () => number) => {
    for (const entry of entries) this.write(entry, at);
    return entries.length + beside();
  });
  readonly #isFull = this.db.pragma("synchronous", { simple: true }) === FULL;
  readonly #writes: WriteCount;

  constructor(db: Database, writes: WriteCount) {
    super(db);
    this.#writes = writes;
  }

  write(entry: AuditEntry, at: number): void {
    this.#insert.run(at, entry.actor, entry.action, entry.outcome, entry.roomId, JSON.stringify(entry.detail));
  }

  /**
   * Writes entries in one commit that does not wait for the disk, whatever the durability: otherwise each write of a
   * tenant would wait. A crash of Emissary loses nothing. A power cut loses the rows since the last other commit; the
   * events themselves name their tenant.
   * @param beside writes in the same commit; returns the number of rows that it changed
   */
  async noteAll(entries: readonly AuditEntry[], at: number, beside: () => number = () => 0): Promise<void> {
    if (this.#isFull) this.db.exec("PRAGMA synchronous = NORMAL");
    try {
      this.#writes.disregard(this.#notes.immediate(entries, at, beside));
    } finally {
      if (this.#isFull) this.db.exec("PRAGMA synchronous = FULL");
    }
  }

  async newest(before: number | null, limit: number): Promise<readonly AuditRow[]> {
    const rows = this.#page.all(before ?? Number.MAX_SAFE_INTEGER, limit);
    return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) as JsonObject }));
  }
}
