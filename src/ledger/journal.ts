import type { RoomEvent } from "../model/event.ts";

/** One received event with its number. Numbers rise by one without gaps, in the order in which the homeserver sent. */
export interface JournalEntry {
  readonly seq: number;
  readonly receivedAt: number;
  readonly event: RoomEvent;
}

/**
 * The durable log of received events. Every consumer reads it by a cursor of its own and advances that when it is done with
 * what it read, so that a crash in between means reading again, never skipping. Who reads along with it reads `SharedJournal`.
 */
export interface Journal {
  /** Entries numbered above `after`, oldest first, at most `limit`; empty where there are none yet. */
  read(after: number, limit: number): Promise<readonly JournalEntry[]>;
  /** The numbers of the oldest entry kept and the newest; both 0 where nothing was ever received. */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;
  /** The number up to which a consumer has read; 0 for one that never did. */
  cursor(consumer: string): Promise<number>;
  /** The same of a consumer that comes and goes: one that never read begins with what comes from now on. */
  open(consumer: string): Promise<number>;
  /** Moves a consumer's cursor forward. It never moves back by this. */
  advance(consumer: string, seq: number): Promise<void>;
  /** Gives a consumer's place up, so that it holds nothing of the journal back. */
  drop(consumer: string): Promise<void>;
  /** Events without what was redacted of them, as `read` gives them; the same list where nothing was. */
  without(events: readonly RoomEvent[]): readonly RoomEvent[];
}
