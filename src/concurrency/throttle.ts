import type { Clock } from "../model/clock.ts";

/** Spaces out calls evenly. Our registration turns off the homeserver's rate limits, so we must limit ourselves. */
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

  /** Changes the rate for calls from now on. */
  setRate(perSecond: number): void {
    this.#gap = 1000 / perSecond;
  }

  /** Resolves when it is the caller's turn, or at once when the signal aborts. */
  async turn(abort: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    // If the clock was set back, the queue moves back with it. Otherwise callers would wait for the old time.
    if (now < this.#seen) this.#free -= this.#seen - now;
    this.#seen = now;
    const at = Math.max(now, this.#free);
    this.#free = at + this.#gap;
    if (at > now) await this.#clock.sleep(at - now, abort);
  }
}
