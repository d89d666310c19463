import type { Clock } from "../../model/clock.ts";
import type { OpenAnswer } from "../../http/upstream.ts";
import { OVER } from "../../concurrency/over.ts";

/** How long a wait is kept for the device's next request, which normally follows at once; and how many. */
const LEFT_MS = 10_000;
const KEPT = 4_000;
/** Interval of the search for expired waits, in milliseconds. */
const SWEEP_MS = 1_000;

/** A `/sync` request waiting at the homeserver. */
export interface Wait {
  /** The token and request by which the next request finds it. */
  readonly key: string;
  readonly askedAt: number;
  readonly answer: Promise<OpenAnswer>;
  /** When the previous request was answered without it; null if it is this request's own. */
  readonly leftAt: number | null;
  readonly over: AbortController;
}

/**
 * Keeps requests waiting at the homeserver after the device got a peeked room's news without them. The device's next,
 * equal request takes its wait over. Otherwise each message would cost both sides a connection.
 */
export class Waits {
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  /** Oldest first. */
  readonly #left = new Map<string, Wait>();
  #isSweeping = false;

  constructor(clock: Clock, stopping: AbortSignal) {
    this.#clock = clock;
    this.#stopping = stopping;
  }

  /** Takes a kept wait, or else begins one. */
  take(key: string, ask: (abort: AbortSignal) => Promise<OpenAnswer>): Wait {
    const left = this.#left.get(key);
    if (left !== undefined) {
      this.#left.delete(key);
      return left;
    }
    const over = new AbortController();
    const answer = ask(AbortSignal.any([over.signal, this.#stopping]));
    // Nobody may be waiting when it fails.
    answer.catch(() => undefined);
    return { key, askedAt: this.#clock.now(), answer, leftAt: null, over };
  }

  /** Keeps the wait for the next request. */
  leave({ key, askedAt, answer, over }: Wait): void {
    const before = this.#left.get(key);
    if (before !== undefined) this.end(before);
    const left: Wait = { key, askedAt, answer, over, leftAt: this.#clock.now() };
    this.#left.delete(key);
    this.#left.set(key, left);
    for (const [oldest, wait] of this.#left) {
      if (this.#left.size <= KEPT) break;
      this.#left.delete(oldest);
      this.end(wait);
    }
    if (!this.#isSweeping) void this.#sweep();
  }

  /** Sleeps once for all waits, however many are kept and taken meanwhile. */
  async #sweep(): Promise<void> {
    this.#isSweeping = true;
    while (this.#left.size > 0 && !this.#stopping.aborted) {
      for (const [key, wait] of this.#left) {
        if (this.#clock.now() - (wait.leftAt ?? 0) < LEFT_MS) break;
        this.#left.delete(key);
        this.end(wait);
      }
      if (this.#left.size > 0) await this.#clock.sleep(SWEEP_MS, this.#stopping);
    }
    this.#isSweeping = false;
  }

  end({ answer, over }: Wait): void {
    over.abort(OVER);
    answer.then((open) => open.drop()).catch(() => undefined);
  }
}
