/** Reads Emissary's database while Emissary runs, as the sqlite3 tool would: read only, and let go at once. */
import DatabaseConstructor from "better-sqlite3";
import type { Row } from "./screen.ts";

export type MemberRow = { readonly user_id: string; readonly membership: string; readonly event_id: string };

export class Database {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  rooms(): Row[] {
    return this.#rows("SELECT room_id, own_membership, joined_members, load FROM rooms ORDER BY nr");
  }

  state(): Row[] {
    return this.#rows("SELECT field, value FROM room_state WHERE value IS NOT NULL ORDER BY field");
  }

  members(): MemberRow[] {
    return this.#rows<MemberRow>("SELECT user_id, membership, event_id FROM members ORDER BY user_id");
  }

  leases(): Row[] {
    return this.#rows(
      `SELECT kind || ':' || holder AS holder, ${moment("taken_at")} AS taken_at, ${moment("ended_at")} AS ended_at,
       end_reason FROM leases ORDER BY id`,
    );
  }

  attendance(): Row[] {
    return this.#rows(`SELECT phase, ${moment("since")} AS since FROM attendance ORDER BY room_nr`);
  }

  /** One row an event; the table has one a transaction. */
  journal(): Row[] {
    return this.#rows(
      `SELECT first_seq + event.key AS seq, event.value ->> 'type' AS type, event.value ->> 'sender' AS sender,
       event.value ->> 'event_id' AS event_id
       FROM journal, json_each(CAST(body AS TEXT), '$.events') AS event ORDER BY seq`,
    );
  }

  hasInJournal(eventId: string): boolean {
    const sql = "SELECT 1 AS one FROM journal, json_each(event_ids) AS id WHERE id.value = ?";
    return this.#rows(sql, eventId).length > 0;
  }

  #rows<T = Row>(sql: string, ...values: readonly string[]): T[] {
    const database = new DatabaseConstructor(this.#file, { readonly: true, fileMustExist: true });
    try {
      return database.prepare<string[], T>(sql).all(...values);
    } finally {
      database.close();
    }
  }
}

function moment(column: string): string {
  return `strftime('%H:%M:%S', ${column} / 1000, 'unixepoch')`;
}
