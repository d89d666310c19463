import type { Database, Statement, Transaction } from "better-sqlite3";
import type { AuditEntry, AuditRow } from "../model/audit.ts";
import type { RoomId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { AuditWriter, Deed } from "../tenants/act/contracts.ts";
import type { AuditReads } from "../admin/contracts.ts";
import type { WriteCount } from "./memo.ts";
import type { SqliteSentStore } from "../tenants/store/sent.ts";

/** What SQLite calls it when a commit waits for the disk (PRAGMA synchronous). */
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

/** The audit: rows are written by the other stores inside their own transactions, so that a deed and its trace go together. */
export class AuditStore implements AuditReads, AuditWriter {
  readonly #db: Database;
  readonly #insert: Statement<[number, string, string, string, string | null, string]>;
  readonly #page: Statement<[number, number], Row>;
  readonly #notes: Transaction<(deeds: readonly Deed[], at: number) => number>;
  readonly #sent: SqliteSentStore;
  readonly #isFull: boolean;
  readonly #writes: WriteCount;

  constructor(db: Database, writes: WriteCount, sent: SqliteSentStore) {
    this.#sent = sent;
    this.#db = db;
    this.#writes = writes;
    this.#insert = db.prepare(
      "INSERT INTO audit (at, actor, action, outcome, room_id, detail) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#page = db.prepare("SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?");
    this.#notes = db.transaction((deeds: readonly Deed[], at: number) => {
      let rows = deeds.length;
      for (const deed of deeds) {
        this.write(deed, at);
        if (deed.sent !== undefined) rows += this.#sent.write(deed.sent, at);
      }
      return rows;
    });
    this.#isFull = db.pragma("synchronous", { simple: true }) === FULL;
  }

  write(entry: AuditEntry, at: number): void {
    this.#insert.run(at, entry.actor, entry.action, entry.outcome, entry.roomId, JSON.stringify(entry.detail));
  }

  /**
   * Does not wait for the disk, whatever the durability: each write of a tenant would. A crash of this program loses nothing; a
   * power cut loses the newest rows up to the last commit of another kind, of events which name their tenant themselves.
   */
  async noteAll(deeds: readonly Deed[], at: number): Promise<void> {
    if (this.#isFull) this.#db.exec("PRAGMA synchronous = NORMAL");
    try {
      this.#writes.disregard(this.#notes.immediate(deeds, at));
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
