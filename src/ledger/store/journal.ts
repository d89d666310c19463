import type { Database } from "better-sqlite3";
import type { RoomEvent } from "../../model/event.ts";
import { sourcedList } from "../../model/json-text.ts";
import type { Memo } from "../../storage/memo.ts";
import { Store } from "../../storage/store.ts";
import type { Redactions } from "./redactions.ts";

/** One received event with its number. Numbers rise by one without gaps, in the homeserver's order. */
export interface JournalEntry {
  readonly seq: number;
  readonly receivedAt: number;
  readonly event: RoomEvent;
}

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
 * Every consumer reads by its own cursor, and advances the cursor once it has handled what it read. So a crash in
 * between makes it read again, never skip. Live readers use `SharedJournal`.
 */
export class JournalStore extends Store {
  readonly #redactions: Redactions;
  readonly #knownBounds: Memo<Bounds>;
  // The row that holds the first requested entry is the last one that begins at or before it.
  readonly #rows = this.sql<[number, number], Row>(`
    SELECT first_seq, events, received_at, body FROM journal
    WHERE first_seq >= coalesce((SELECT max(first_seq) FROM journal WHERE first_seq <= ?), 0)
    ORDER BY first_seq LIMIT ?`);
  readonly #bounds = this.sql<[], Bounds>(`
    SELECT coalesce((SELECT min(first_seq) FROM journal), 0) AS first, ${LAST_SEQ} AS last`);
  readonly #cursor = this.value<[string], number>("SELECT seq FROM cursors WHERE consumer = ?");
  readonly #open = this.sql<[string]>(`
    INSERT INTO cursors (consumer, seq) VALUES (?, ${LAST_SEQ}) ON CONFLICT DO NOTHING`);
  readonly #advance = this.sql<[string, number]>(`
    INSERT INTO cursors (consumer, seq) VALUES (?, ?)
    ON CONFLICT (consumer) DO UPDATE SET seq = max(seq, excluded.seq)`);
  readonly #drop = this.sql<[string]>("DELETE FROM cursors WHERE consumer = ?");

  constructor(db: Database, redactions: Redactions, knownBounds: Memo<Bounds>) {
    super(db);
    this.#redactions = redactions;
    this.#knownBounds = knownBounds;
  }

  /** Returns entries numbered above `after`, oldest first, at most `limit`; empty if there are none yet. */
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

  /** Returns the events without their redacted content, as `read` does; the same list if nothing was redacted. */
  without(events: readonly RoomEvent[]): readonly RoomEvent[] {
    return this.#redactions.without(events);
  }

  /** Returns the numbers of the oldest and the newest entry; both 0 if nothing was ever received. */
  async bounds(): Promise<Bounds> {
    return this.#knownBounds.get("", () => this.#bounds.get() ?? { first: 0, last: 0 });
  }

  /** Returns the number up to which a consumer has read; 0 if it never did. */
  async cursor(consumer: string): Promise<number> {
    return this.#cursor.get(consumer) ?? 0;
  }

  /** Returns the same for a consumer that comes and goes: if it never read, it starts at the present end. */
  async open(consumer: string): Promise<number> {
    this.#open.run(consumer);
    return this.#cursor.get(consumer) ?? 0;
  }

  /** Moves a consumer's cursor forward, never back. */
  async advance(consumer: string, seq: number): Promise<void> {
    this.#advance.run(consumer, seq);
  }

  /** Drops a consumer's cursor, so that it holds back nothing of the journal. */
  async drop(consumer: string): Promise<void> {
    this.#drop.run(consumer);
  }
}
