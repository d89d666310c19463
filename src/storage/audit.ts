import type { Database, Statement, Transaction } from "better-sqlite3";
import type { AuditEntry, AuditRow } from "../model/audit.ts";
import type { RoomId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { WriteCount } from "./memo.ts";

/** SQLite's number for commits that wait for the disk (PRAGMA synchronous). */
const FULL = 2;

interface Row {
  id: number;
  at: number;
  actor: string;
  action: string;
  outcome: string;
  room_id: string | null;
  detail: string;
}

/** The audit. Other stores write its rows in their own transactions: action and trace are one commit. */
export class AuditStore {
  readonly #db: Database;
  readonly #insert: Statement<[number, string, string, string, string | null, string]>;
  readonly #page: Statement<[number, number], Row>;
  readonly #notes: Transaction<(entries: readonly AuditEntry[], at: number, beside: () => number) => number>;
  readonly #isFull: boolean;
  readonly #writes: WriteCount;

  constructor(db: Database, writes: WriteCount) {
    this.#db = db;
    this.#writes = writes;
    this.#insert = db.prepare(
      "INSERT INTO audit (at, actor, action, outcome, room_id, detail) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#page = db.prepare("SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?");
    this.#notes = db.transaction((entries: readonly AuditEntry[], at: number, beside: () => number) => {
      for (const entry of entries) this.write(entry, at);
      return entries.length + beside();
    });
    this.#isFull = db.pragma("synchronous", { simple: true }) === FULL;
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
    if (this.#isFull) this.#db.exec("PRAGMA synchronous = NORMAL");
    try {
      this.#writes.disregard(this.#notes.immediate(entries, at, beside));
    } finally {
      if (this.#isFull) this.#db.exec("PRAGMA synchronous = FULL");
    }
  }

  async newest(before: number | null, limit: number): Promise<readonly AuditRow[]> {
    return this.#page.all(before ?? Number.MAX_SAFE_INTEGER, limit).map((row) => ({
      id: row.id,
      at: row.at,
      actor: row.actor,
      action: row.action,
      outcome: row.outcome,
      roomId: row.room_id as RoomId | null,
      detail: JSON.parse(row.detail) as JsonObject,
    }));
  }
}
