import type { Clock } from "../model/clock.ts";

/**
 * Spaces out calls: at most `perSecond`, evenly, however many ask at once. Our registration turns the homeserver's own limits
 * off for us, so the restraint has to be ours.
 */
export class Pace {
  readonly #gap: number;
  readonly #clock: Clock;
  #free = 0;

  constructor(perSecond: number, clock: Clock) {
    this.#gap = 1000 / perSecond;
    this.#clock = clock;
  }

  /** Resolves when it is the caller's turn. A clock set back makes nobody wait longer than a gap. */
  async turn(abort: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    const at = Math.max(now, this.#free > now + 60_000 ? now : this.#free);
    this.#free = at + this.#gap;
    if (at > now) await this.#clock.sleep(at - now, abort);
  }
}
