import type { RoomEvent } from "../model/event.ts";
import type { RoomId, UserId } from "../model/ids.ts";

/** What is sent is averaged over this time. */
export const FLOOD_WINDOW_MS = 10_000;
/** An event that comes so long after it was made was held up on its way: after an outage many come at once. */
const LATE_MS = 60_000;
/** Counted in tenths: a late event counts one, so that whoever lies about the time may send ten times as much and no more. */
const WHOLE = 10;
const LATE = 1;
/** Rooms counted in one window; more are not attended. */
const MOST_ROOMS = 100_000;
/** What a room has that was told of: it is not told of again in this window and the next. */
const TOLD = Number.NEGATIVE_INFINITY;

type Measured = Pick<RoomEvent, "room_id" | "sender" | "origin_server_ts">;

/**
 * Tells which rooms send more events a second than may be, by when they arrive. It counts in windows that follow each other; of the
 * one before counts the part that lies within the last ten seconds. What the pseudouser itself sends is ours to limit.
 */
export class FloodMeter {
  #most: number;
  readonly #own: UserId;
  #begun = 0;
  #counts = new Map<RoomId, number>();
  #before = new Map<RoomId, number>();

  /** @param rate events a second */
  constructor(rate: number, own: UserId) {
    this.#most = mostOf(rate);
    this.#own = own;
  }

  setRate(rate: number): void {
    this.#most = mostOf(rate);
  }

  /** @returns the rooms that sent too much, seldom any */
  count(events: readonly Measured[], now: number): readonly RoomId[] {
    this.#moveOn(now);
    const ofBefore = 1 - (now - this.#begun) / FLOOD_WINDOW_MS;
    let flooding: RoomId[] | null = null;
    for (const { room_id, sender, origin_server_ts } of events) {
      if (sender === this.#own) continue;
      const known = this.#counts.get(room_id);
      if (known === undefined && this.#counts.size >= MOST_ROOMS) continue;
      const count = (known ?? 0) + (now - origin_server_ts > LATE_MS ? LATE : WHOLE);
      if (count + (this.#before.get(room_id) ?? 0) * ofBefore > this.#most) {
        (flooding ??= []).push(room_id);
        this.#counts.set(room_id, TOLD);
      } else {
        this.#counts.set(room_id, count);
      }
    }
    return flooding ?? [];
  }

  #moveOn(now: number): void {
    const passed = now - this.#begun;
    if (passed >= 0 && passed < FLOOD_WINDOW_MS) return;
    // A clock that was set back begins a window, too.
    const isNext = passed >= FLOOD_WINDOW_MS && passed < 2 * FLOOD_WINDOW_MS;
    this.#before = isNext ? this.#counts : new Map<RoomId, number>();
    this.#counts = new Map();
    this.#begun = isNext ? this.#begun + FLOOD_WINDOW_MS : now;
  }
}

function mostOf(rate: number): number {
  return (rate * WHOLE * FLOOD_WINDOW_MS) / 1000;
}
