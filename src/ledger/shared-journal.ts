import type { RoomEvent } from "../model/event.ts";
import type { Journal, JournalEntry } from "./journal.ts";

/** Entries per batch read from disk, and number of batches kept. Readers at the same place share a batch. */
const BATCH = 100;
const KEPT = 4;
/** The newest rows stay in memory as parsed on arrival: at most this many events, of bodies of this many bytes. */
const RECENT_EVENTS = 500;
const RECENT_BYTES = 2 * 1024 * 1024;

export interface WrittenRow {
  readonly firstSeq: number;
  readonly receivedAt: number;
  readonly events: readonly RoomEvent[];
  readonly bytes: number;
  /** Gives the events their texts (model/json-text.ts), for callers that pass them on. */
  readonly withTexts?: () => void;
}

interface RecentRow {
  readonly written: WrittenRow;
  readonly last: number;
  /** What readers get; null until the next read after a redaction. */
  entries: readonly JournalEntry[] | null;
}

interface Batch {
  /** The batch has all entries numbered above this, up to its last. */
  readonly after: number;
  readonly last: number;
  readonly entries: readonly JournalEntry[];
}

/**
 * The journal for all live readers. The newest rows come from the recorder; a reader that is behind reads from disk.
 * Entries change by redactions only; cached ones are then dropped or redacted again.
 */
export class SharedJournal implements Pick<Journal, "read" | "bounds"> {
  readonly #journal: Pick<Journal, "read" | "bounds" | "without">;
  /** In order, without gaps, up to the newest. */
  #recent: RecentRow[] = [];
  #recentEvents = 0;
  #recentBytes = 0;
  #kept: readonly Batch[] = [];
  #forgotten = 0;
  readonly #underWay = new Map<number, Promise<readonly JournalEntry[]>>();

  constructor(journal: Pick<Journal, "read" | "bounds" | "without">) {
    this.#journal = journal;
  }

  /** Returns entries numbered above `after`, in order without gaps, at most `limit`; empty only if there are none. */
  async read(after: number, limit: number): Promise<readonly JournalEntry[]> {
    return this.#recentAfter(after, limit) ?? (await this.#storedAfter(after)).slice(0, limit);
  }

  bounds(): ReturnType<Journal["bounds"]> {
    return this.#journal.bounds();
  }

  /** Called with each row after it is written, in order. */
  heard(written: WrittenRow): void {
    if (written.events.some(({ type }) => type === "m.room.redaction")) this.#redacted();
    const last = written.firstSeq + written.events.length - 1;
    if (this.#recent.at(-1)?.last !== written.firstSeq - 1) this.#dropRecent(this.#recent.length);
    this.#recent.push({ written, last, entries: null });
    this.#recentEvents += written.events.length;
    this.#recentBytes += written.bytes;
    while (this.#recentEvents > RECENT_EVENTS || this.#recentBytes > RECENT_BYTES) this.#dropRecent(1);
  }

  #dropRecent(rows: number): void {
    for (const { written } of this.#recent.splice(0, rows)) {
      this.#recentEvents -= written.events.length;
      this.#recentBytes -= written.bytes;
    }
  }

  #redacted(): void {
    for (const row of this.#recent) row.entries = null;
    this.#kept = [];
    this.#underWay.clear();
    this.#forgotten += 1;
  }

  /** Returns null if the first of these entries is no longer cached. */
  #recentAfter(after: number, limit: number): readonly JournalEntry[] | null {
    const [oldest] = this.#recent;
    if (oldest === undefined || after < oldest.written.firstSeq - 1) return null;
    const found: JournalEntry[] = [];
    // A reader that keeps up is at the end.
    let at = this.#recent.length;
    while (at > 0 && (this.#recent[at - 1]?.last ?? after) > after) at -= 1;
    for (const row of this.#recent.slice(at, at + limit)) {
      for (const entry of this.#entriesOf(row)) {
        if (found.length >= limit) return found;
        if (entry.seq > after) found.push(entry);
      }
    }
    return found;
  }

  #entriesOf(row: RecentRow): readonly JournalEntry[] {
    if (row.entries !== null) return row.entries;
    const { firstSeq, receivedAt, events, withTexts } = row.written;
    withTexts?.();
    const shown = this.#journal.without(events);
    row.entries = shown.map((event, index) => ({ seq: firstSeq + index, receivedAt, event }));
    return row.entries;
  }

  async #storedAfter(after: number): Promise<readonly JournalEntry[]> {
    const kept = this.#kept.find((batch) => batch.after <= after && after < batch.last);
    if (kept !== undefined) return kept.entries.filter(({ seq }) => seq > after);
    const earlier = this.#underWay.get(after);
    if (earlier !== undefined) {
      const found = await earlier;
      if (found.length > 0) return found;
    }
    // The earlier read may have begun before the entry that woke this reader. A read under way now began later.
    return this.#underWay.get(after) ?? this.#load(after);
  }

  async #load(after: number): Promise<readonly JournalEntry[]> {
    const forgotten = this.#forgotten;
    const reading = this.#journal.read(after, BATCH);
    this.#underWay.set(after, reading);
    try {
      const entries = await reading;
      const last = entries.at(-1)?.seq;
      if (last !== undefined && forgotten === this.#forgotten)
        this.#kept = [{ after, last, entries }, ...this.#kept].slice(0, KEPT);
      return entries;
    } finally {
      if (this.#underWay.get(after) === reading) this.#underWay.delete(after);
    }
  }
}
