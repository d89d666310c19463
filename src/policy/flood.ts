import type { RoomEvent } from "../model/event.ts";
import type { RoomId, UserId } from "../model/ids.ts";

/** The window over which the rate is averaged. */
export const FLOOD_WINDOW_MS = 10_000;
/** Events that arrive this long after their timestamp were delayed: after an outage, many arrive at once. */
const LATE_MS = 60_000;
/** Weight of an event, in tenths. A late one weighs one tenth, so a lie about the time gains a factor of ten. */
const WHOLE = 10;
const LATE = 1;
/** Rooms counted in one window; more are not attended. */
const MOST_ROOMS = 100_000;
/** Marks a room that was reported. It is not reported again in this window and the next. */
const TOLD = Number.NEGATIVE_INFINITY;

type Measured = Pick<RoomEvent, "room_id" | "sender" | "origin_server_ts">;

/**
 * Finds rooms that send more events a second than allowed, by their arrival. It counts in consecutive windows. Of the
 * previous window, the part within the last ten seconds counts. The pseudouser's own events are limited elsewhere.
 */
export class FloodMeter {
  #most: number;
  readonly #own: UserId;
  #begun = 0;
  #counts = new Map<RoomId, number>();
  #before = new Map<RoomId, number>();

  constructor(rate: number, own: UserId) {
    this.#most = mostOf(rate);
    this.#own = own;
  }

  setRate(rate: number): void {
    this.#most = mostOf(rate);
  }

  /** @returns the rooms that sent too much; usually none */
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
    // If the clock was set back, a new window begins, too.
    const isNext = passed >= FLOOD_WINDOW_MS && passed < 2 * FLOOD_WINDOW_MS;
    this.#before = isNext ? this.#counts : new Map<RoomId, number>();
    this.#counts = new Map();
    this.#begun = isNext ? this.#begun + FLOOD_WINDOW_MS : now;
  }
}

function mostOf(rate: number): number {
  return (rate * WHOLE * FLOOD_WINDOW_MS) / 1000;
}
