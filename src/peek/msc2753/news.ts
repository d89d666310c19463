import type { Clock } from "../../model/clock.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import type { Journal } from "../../ledger/journal.ts";
import { Signal } from "../../concurrency/signal.ts";
import { workUntil } from "../../concurrency/worker.ts";
import type { PeekStore } from "../store.ts";

const BATCH = 100;
/** A reader further behind skips events and treats every room as possibly new. */
const MAX_BEHIND = 5_000;
const KEPT = 10_000;
/** Window in which events are sent together, in milliseconds. The first is sent at once. */
const TOGETHER_MS = 50;

export interface Newest {
  readonly seq: number;
  readonly eventId: EventId;
}

/** Which rooms have news since when. Keeps the little of the journal that tells which rooms to ask about. */
export class RoomNews {
  readonly #journal: Pick<Journal, "read" | "bounds">;
  /** Oldest news first. */
  readonly #newest = new Map<RoomId, Newest>();
  /** Rooms not in the map have no event after this one. */
  #floor = 0;
  #seq = 0;
  #reading: Promise<void> | null = null;
  readonly #waiting = new Map<RoomId, Set<() => void>>();

  constructor(journal: Pick<Journal, "read" | "bounds">) {
    this.#journal = journal;
  }

  /** Reads the journal to its end and returns the number of its newest event. */
  async read(): Promise<number> {
    const { first, last } = await this.#journal.bounds();
    // A read in progress may have begun before the newest event came.
    while (this.#seq < last) {
      this.#reading ??= this.#next(first, last).finally(() => (this.#reading = null));
      await this.#reading;
    }
    return last;
  }

  newestIn(roomId: RoomId): Newest | null {
    return this.#newest.get(roomId) ?? null;
  }

  /** Whether the room has, or may have, a newer event. */
  isAfter(roomId: RoomId, seq: number): boolean {
    return seq < (this.#newest.get(roomId)?.seq ?? this.#floor);
  }

  /** Resolves when a room has an event newer than `seq`, or on abort. Works only while `follow` runs. */
  next(rooms: Iterable<RoomId>, seq: number, abort: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const all = [...rooms];
      const wake = (): void => {
        abort.removeEventListener("abort", wake);
        for (const roomId of all) {
          const waiting = this.#waiting.get(roomId);
          waiting?.delete(wake);
          if (waiting?.size === 0) this.#waiting.delete(roomId);
        }
        resolve();
      };
      for (const roomId of all) this.#waiting.set(roomId, (this.#waiting.get(roomId) ?? new Set()).add(wake));
      abort.addEventListener("abort", wake, { once: true });
      if (abort.aborted || all.some((roomId) => this.isAfter(roomId, seq))) wake();
    });
  }

  /** Reads the journal continuously until the signal aborts. */
  follow(committed: Signal, clock: Clock, log: Logger, abort: AbortSignal): Promise<void> {
    let isBegun = false;
    return workUntil(abort, {
      round: async () => {
        if (!isBegun) await this.#begin();
        isBegun = true;
        await this.read();
        await clock.sleep(TOGETHER_MS, abort);
        return null;
      },
      signals: [committed],
      failed: (error) => log.error("peeks.news-failed", { error }),
      clock,
    });
  }

  /** Nobody waits at the start, so older events are not worth reading. */
  async #begin(): Promise<void> {
    const { last } = await this.#journal.bounds();
    if (this.#seq > 0 || this.#reading !== null) return;
    this.#seq = last;
    this.#floor = last;
  }

  async #next(first: number, last: number): Promise<void> {
    if (this.#seq < first - 1 || last - this.#seq > MAX_BEHIND) {
      this.#newest.clear();
      this.#seq = Math.max(first - 1, last - MAX_BEHIND);
      this.#floor = this.#seq;
      for (const roomId of [...this.#waiting.keys()]) this.#wake(roomId);
    }
    const entries = await this.#journal.read(this.#seq, BATCH);
    for (const { seq, event } of entries) {
      this.#newest.delete(event.room_id);
      this.#newest.set(event.room_id, { seq, eventId: event.event_id });
    }
    for (const roomId of new Set(entries.map(({ event }) => event.room_id))) this.#wake(roomId);
    this.#seq = entries.at(-1)?.seq ?? last;
    for (const [roomId, { seq }] of this.#newest) {
      if (this.#newest.size <= KEPT) break;
      this.#newest.delete(roomId);
      this.#floor = seq;
    }
  }

  #wake(roomId: RoomId): void {
    for (const wake of [...(this.#waiting.get(roomId) ?? [])]) wake();
  }
}

export interface ChangesParts {
  readonly store: Pick<PeekStore, "newest">;
  /** Signals that may mean a change of peeks, and mostly do not. */
  readonly signals: readonly Signal[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** Wakes the waiting syncs only if peeks really changed, so not each of them has to check. */
export class PeekChanges {
  readonly changed = new Signal();

  follow({ store, log, ...work }: ChangesParts, abort: AbortSignal): Promise<void> {
    let newest: number | null = null;
    return workUntil(abort, {
      ...work,
      round: async () => {
        const now = await store.newest();
        if (now !== newest) this.changed.notify();
        newest = now;
        return null;
      },
      failed: (error) => log.error("peeks.changes-failed", { error }),
    });
  }
}
