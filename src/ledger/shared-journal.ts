import type { RoomEvent } from "../model/event.ts";
import type { Journal, JournalEntry } from "./journal.ts";

/** Entries of one batch read from disk, and how many batches are kept: readers that are behind at the same place read the same one. */
const BATCH = 100;
const KEPT = 4;
/** What was written last is kept as it was parsed when it came: so many events, of bodies of so many bytes. */
const RECENT_EVENTS = 500;
const RECENT_BYTES = 2 * 1024 * 1024;

/** One row of the journal, as the recorder wrote it. */
export interface WrittenRow {
  readonly firstSeq: number;
  readonly receivedAt: number;
  readonly events: readonly RoomEvent[];
  /** The size of the row's body. */
  readonly bytes: number;
  /** Gives the events their texts (model/json-text.ts), which whoever passes them on writes. */
  readonly withTexts?: () => void;
}

interface RecentRow {
  readonly written: WrittenRow;
  readonly last: number;
  /** What readers get; null where nobody has asked since something was redacted. */
  entries: readonly JournalEntry[] | null;
}

interface Batch {
  /** The batch has all entries numbered above this, up to its last. */
  readonly after: number;
  readonly last: number;
  readonly entries: readonly JournalEntry[];
}

/**
 * The journal for all who read along with it. The newest rows are those that the recorder handed out, so who keeps up reads and parses
 * nothing again; who is behind, or begins after a restart, reads from disk. Each reader keeps its own place. Entries change by
 * redactions only, and then what is held goes, or is asked about anew.
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

  /** Some of the entries numbered above `after`, from the first on, at most `limit`; empty only where there are none. */
  async read(after: number, limit: number): Promise<readonly JournalEntry[]> {
    return this.#recentAfter(after, limit) ?? (await this.#storedAfter(after)).slice(0, limit);
  }

  bounds(): ReturnType<Journal["bounds"]> {
    return this.#journal.bounds();
  }

  /** Told of each row once it is written, in order. */
  heard(written: WrittenRow): void {
    if (written.events.some(({ type }) => type === "m.room.redaction")) this.#redacted();
    const last = written.firstSeq + written.events.length - 1;
    if (this.#recent.at(-1)?.last !== written.firstSeq - 1) this.#dropRecent(this.#recent.length);
    this.#recent.push({ written, last, entries: null });
    this.#recentEvents += written.events.length;
    this.#recentBytes += written.bytes;
    let over = 0;
    for (let events = this.#recentEvents, bytes = this.#recentBytes; ; over += 1) {
      const row = this.#recent[over]?.written;
      if (row === undefined || (events <= RECENT_EVENTS && bytes <= RECENT_BYTES)) break;
      events -= row.events.length;
      bytes -= row.bytes;
    }
    if (over > 0) this.#dropRecent(over);
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

  /** Null where the first of them is no longer held. */
  #recentAfter(after: number, limit: number): readonly JournalEntry[] | null {
    const [oldest] = this.#recent;
    if (oldest === undefined || after < oldest.written.firstSeq - 1) return null;
    const found: JournalEntry[] = [];
    // Who keeps up is at the end.
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
    // The earlier read may have begun before there was what woke this reader; one that is there now began since.
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
