import type { Clock } from "../../model/clock.ts";
import type { OpenAnswer } from "../../http/upstream.ts";
import { OVER } from "../../concurrency/over.ts";

/** A device comes back at once for what comes next; one that does not is not waited for, milliseconds. And so many are kept. */
const LEFT_MS = 10_000;
const KEPT = 4_000;
/** How often it is looked for those that are over, milliseconds. */
const SWEEP_MS = 1_000;

/** A `/sync` that waits at the homeserver. */
export interface Wait {
  /** By what the next request finds it: token and request. */
  readonly key: string;
  readonly askedAt: number;
  readonly answer: Promise<OpenAnswer>;
  /** When the request before was answered without it; null where it is this one's. */
  readonly leftAt: number | null;
  readonly over: AbortController;
}

/**
 * Waits at the homeserver that outlive a request of the device, since what came in a peeked room was told without them: its next request,
 * which is the same, goes on with them. To break each off would cost both sides a connection for each message.
 */
export class Waits {
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  /** The oldest first. */
  readonly #left = new Map<string, Wait>();
  #isSweeping = false;

  constructor(clock: Clock, stopping: AbortSignal) {
    this.#clock = clock;
    this.#stopping = stopping;
  }

  /** One that was left there, or else a new one. */
  take(key: string, ask: (abort: AbortSignal) => Promise<OpenAnswer>): Wait {
    const left = this.#left.get(key);
    if (left !== undefined) {
      this.#left.delete(key);
      return left;
    }
    const over = new AbortController();
    const answer = ask(AbortSignal.any([over.signal, this.#stopping]));
    // Nobody may be there when it fails.
    answer.catch(() => undefined);
    return { key, askedAt: this.#clock.now(), answer, leftAt: null, over };
  }

  /** It is there for the next request. */
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

  /** One sleep for all, however many are left and taken up again meanwhile. */
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
    answer.then(
      (open) => open.drop(),
      () => undefined,
    );
  }
}
