import type { EventId, RoomId } from "../../../model/ids.ts";
import type { Journal } from "../../../ledger/journal.ts";

const BATCH = 100;
/** Who is further behind does not read all of it, but takes every room for one that may have news. */
const MAX_BEHIND = 5_000;
const KEPT = 10_000;

/** The newest event of a room that the journal has. */
export interface Newest {
  readonly seq: number;
  readonly eventId: EventId;
}

/** Which rooms have news since when: what of the journal it takes to know whom to ask the homeserver about. */
export class RoomNews {
  readonly #journal: Pick<Journal, "read" | "bounds">;
  /** Oldest news first. */
  readonly #newest = new Map<RoomId, Newest>();
  /** A room that is not there had no event after this one. */
  #floor = 0;
  #seq = 0;
  #reading: Promise<void> | null = null;

  constructor(journal: Pick<Journal, "read" | "bounds">) {
    this.#journal = journal;
  }

  /** Takes in what the journal has got; the number of its newest event. */
  async read(): Promise<number> {
    const { first, last } = await this.#journal.bounds();
    // A reading under way may have begun before the newest came.
    while (this.#seq < last) {
      this.#reading ??= this.#next(first, last).finally(() => (this.#reading = null));
      await this.#reading;
    }
    return last;
  }

  newestIn(roomId: RoomId): Newest | null {
    return this.#newest.get(roomId) ?? null;
  }

  /** Whether the room has, or may have, an event that is newer. */
  isAfter(roomId: RoomId, seq: number): boolean {
    return seq < (this.#newest.get(roomId)?.seq ?? this.#floor);
  }

  async #next(first: number, last: number): Promise<void> {
    if (this.#seq < first - 1 || last - this.#seq > MAX_BEHIND) {
      this.#newest.clear();
      this.#seq = Math.max(first - 1, last - MAX_BEHIND);
      this.#floor = this.#seq;
    }
    const entries = await this.#journal.read(this.#seq, BATCH);
    for (const { seq, event } of entries) {
      this.#newest.delete(event.room_id);
      this.#newest.set(event.room_id, { seq, eventId: event.event_id });
    }
    this.#seq = entries.at(-1)?.seq ?? last;
    for (const [roomId, { seq }] of this.#newest) {
      if (this.#newest.size <= KEPT) break;
      this.#newest.delete(roomId);
      this.#floor = seq;
    }
  }
}
