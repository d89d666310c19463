import type { Clock } from "../model/clock.ts";

/**
 * Spaces out calls: at most `perSecond`, evenly, however many ask at once. Our registration turns the homeserver's own limits
 * off for us, so the restraint has to be ours.
 */
export class Throttle {
  #gap: number;
  readonly #clock: Clock;
  /** When the next turn is free. */
  #free = 0;
  #seen = 0;

  constructor(perSecond: number, clock: Clock) {
    this.#gap = 1000 / perSecond;
    this.#clock = clock;
  }

  /** Spaces out those who come from now on otherwise. */
  setRate(perSecond: number): void {
    this.#gap = 1000 / perSecond;
  }

  /** Resolves when it is the caller's turn, or at once when the signal aborts. */
  async turn(abort: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    // A clock that was set back takes the queue with it, so that nobody waits for the time to come again.
    if (now < this.#seen) this.#free -= this.#seen - now;
    this.#seen = now;
    const at = Math.max(now, this.#free);
    this.#free = at + this.#gap;
    if (at > now) await this.#clock.sleep(at - now, abort);
  }
}
