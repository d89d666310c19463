import DatabaseConstructor from "better-sqlite3";

/** Rows of Emissary's database, read beside the running daemon as an operator would with the sqlite3 tool. */
export function rows<Row>(path: string, sql: string, ...params: unknown[]): Row[] {
  const db = new DatabaseConstructor(path, { readonly: true });
  try {
    return db.prepare(sql).all(...params) as Row[];
  } finally {
    db.close();
  }
}

export interface StoredEvent {
  readonly event_id: string;
  readonly room_id: string;
  readonly type: string;
  readonly sender: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/** Every event in the journal, in order. */
export function journalEvents(path: string): StoredEvent[] {
  return rows<{ body: Buffer }>(path, "SELECT body FROM journal ORDER BY first_seq").flatMap(
    ({ body }) => (JSON.parse(body.toString("utf8")) as { events: StoredEvent[] }).events,
  );
}

export interface StoredMember {
  readonly user_id: string;
  readonly membership: string;
  readonly event_id: string;
  readonly displayname: string | null;
}

export function storedMembers(path: string, roomId: string): StoredMember[] {
  return rows<StoredMember>(
    path,
    "SELECT m.user_id, m.membership, m.event_id, m.displayname FROM members m JOIN rooms r ON r.nr = m.room_nr " +
      "WHERE r.room_id = ? ORDER BY m.user_id",
    roomId,
  );
}
