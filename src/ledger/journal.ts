import type { RoomEvent } from "../model/event.ts";

/** One received event with its number. Numbers rise by one without gaps, in the homeserver's order. */
export interface JournalEntry {
  readonly seq: number;
  readonly receivedAt: number;
  readonly event: RoomEvent;
}

/**
 * The durable log of received events. Every consumer reads it by its own cursor, and advances the cursor once it has
 * handled what it read. So a crash in between makes it read again, never skip. Live readers use `SharedJournal`.
 */
export interface Journal {
  /** Returns entries numbered above `after`, oldest first, at most `limit`; empty if there are none yet. */
  read(after: number, limit: number): Promise<readonly JournalEntry[]>;
  /** Returns the numbers of the oldest and the newest entry; both 0 if nothing was ever received. */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;
  /** Returns the number up to which a consumer has read; 0 if it never did. */
  cursor(consumer: string): Promise<number>;
  /** Returns the same for a consumer that comes and goes: if it never read, it starts at the present end. */
  open(consumer: string): Promise<number>;
  /** Moves a consumer's cursor forward, never back. */
  advance(consumer: string, seq: number): Promise<void>;
  /** Drops a consumer's cursor, so that it holds back nothing of the journal. */
  drop(consumer: string): Promise<void>;
  /**
   * Returns the events without their redacted content, as `read` returns them; the same list if nothing was redacted.
   */
  without(events: readonly RoomEvent[]): readonly RoomEvent[];
}
