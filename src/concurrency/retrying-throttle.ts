import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError, type ErrorCode } from "../model/errors.ts";
import { backoff } from "./backoff.ts";
import { Throttle } from "./throttle.ts";

/** Queries to the homeserver under way at once. */
export const AT_ONCE = 4;
const TRIES = 5;
/** Longest pause before the homeserver is asked again, even if it wants a longer one. */
const LONGEST_REST_MS = 10 * 60_000;
const PASSING: ReadonlySet<ErrorCode> = new Set(["homeserver-unreachable", "homeserver-error", "limited", "timeout"]);

/** Asks the homeserver with restraint: few queries at once, evenly spaced, and again if it cannot answer now. */
export class RetryingThrottle {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #abort: AbortSignal;
  #free = AT_ONCE;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock, random: Random, abort: AbortSignal) {
    this.#clock = clock;
    this.#random = random;
    this.#abort = abort;
  }

  atMost(perSecond: number): Throttle {
    return new Throttle(perSecond, this.#clock);
  }

  /** @throws EmissaryError what the last try threw, or `not-ready` if Emissary is stopping */
  async ask<T>(rate: Throttle, question: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      await rate.turn(this.#abort);
      if (this.#abort.aborted) throw new EmissaryError("not-ready", "Emissary is stopping; ask again soon.");
      try {
        return await this.#inTurn(question);
      } catch (error) {
        if (!(error instanceof EmissaryError) || !PASSING.has(error.code) || tries === TRIES) throw error;
        const asked = Math.min(error.retryAfter ?? 0, LONGEST_REST_MS);
        await this.#clock.sleep(Math.max(asked, backoff(tries, this.#random)), this.#abort);
      }
    }
  }

  async #inTurn<T>(question: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await question();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
