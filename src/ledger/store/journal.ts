import type { Database, Statement } from "better-sqlite3";
import type { Journal, JournalEntry } from "../journal.ts";
import type { RoomEvent } from "../../model/event.ts";
import { sourcedList } from "../../model/json-text.ts";
import type { Memo } from "../../storage/memo.ts";
import type { Redactions } from "./redactions.ts";

interface Row {
  first_seq: number;
  events: number;
  received_at: number;
  body: Buffer;
}

interface Bounds {
  readonly first: number;
  readonly last: number;
}

/** The newest event's number, 0 if there is none. The newest row is never removed (retention.ts). */
export const LAST_SEQ = "coalesce((SELECT first_seq + events - 1 FROM journal ORDER BY first_seq DESC LIMIT 1), 0)";

/**
 * The journal's reading end. Rows are whole transactions as received; readers get single events with their numbers.
 */
export class JournalStore implements Journal {
  readonly #redactions: Redactions;
  readonly #rows: Statement<[number, number], Row>;
  readonly #bounds: Statement<[], Bounds>;
  readonly #knownBounds: Memo<Bounds>;
  readonly #cursor: Statement<[string], number>;
  readonly #open: Statement<[string]>;
  readonly #advance: Statement<[string, number]>;
  readonly #drop: Statement<[string]>;

  constructor(db: Database, redactions: Redactions, knownBounds: Memo<Bounds>) {
    this.#redactions = redactions;
    this.#knownBounds = knownBounds;
    // The row that holds the first requested entry is the last one that begins at or before it.
    this.#rows = db.prepare(
      "SELECT first_seq, events, received_at, body FROM journal " +
        "WHERE first_seq >= coalesce((SELECT max(first_seq) FROM journal WHERE first_seq <= ?), 0) ORDER BY first_seq LIMIT ?",
    );
    this.#bounds = db.prepare(`SELECT coalesce((SELECT min(first_seq) FROM journal), 0) AS first, ${LAST_SEQ} AS last`);
    this.#cursor = db.prepare<[string], number>("SELECT seq FROM cursors WHERE consumer = ?").pluck();
    this.#open = db.prepare(`INSERT INTO cursors (consumer, seq) VALUES (?, ${LAST_SEQ}) ON CONFLICT DO NOTHING`);
    this.#drop = db.prepare("DELETE FROM cursors WHERE consumer = ?");
    this.#advance = db.prepare(
      "INSERT INTO cursors (consumer, seq) VALUES (?, ?) ON CONFLICT (consumer) DO UPDATE SET seq = max(seq, excluded.seq)",
    );
  }

  async read(after: number, limit: number): Promise<readonly JournalEntry[]> {
    const entries: JournalEntry[] = [];
    // A row holds at least one entry, so `limit` rows suffice; the loop ends as soon as enough are read.
    for (const row of this.#rows.iterate(after + 1, limit + 1)) {
      if (row.first_seq + row.events <= after + 1) continue;
      const text = row.body.toString("utf8");
      const body = JSON.parse(text) as { events: RoomEvent[] };
      sourcedList(body, text, "events");
      const { events } = body;
      events.forEach((event, index) => {
        const seq = row.first_seq + index;
        if (seq > after && entries.length < limit) entries.push({ seq, receivedAt: row.received_at, event });
      });
      if (entries.length >= limit) break;
    }
    const events = this.without(entries.map(({ event }) => event));
    return entries.map((entry, index) => ({ ...entry, event: events[index] ?? entry.event }));
  }

  without(events: readonly RoomEvent[]): readonly RoomEvent[] {
    return this.#redactions.without(events);
  }

  async bounds(): Promise<Bounds> {
    return this.#knownBounds.get("", () => this.#bounds.get() ?? { first: 0, last: 0 });
  }

  async cursor(consumer: string): Promise<number> {
    return this.#cursor.get(consumer) ?? 0;
  }

  async open(consumer: string): Promise<number> {
    this.#open.run(consumer);
    return this.#cursor.get(consumer) ?? 0;
  }

  async advance(consumer: string, seq: number): Promise<void> {
    this.#advance.run(consumer, seq);
  }

  async drop(consumer: string): Promise<void> {
    this.#drop.run(consumer);
  }
}
