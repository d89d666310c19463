import type { Clock } from "../model/clock.ts";
import { remember } from "./remember.ts";

interface Given<Value> {
  readonly at: number;
  readonly answer: Promise<Value | null>;
}

/**
 * A cache of answers that hold for a while. Callers who ask the same at once share one query. An answer that found
 * nothing, or failed, is not kept: the thing may exist a moment later, and such answers would push out the others.
 */
export class SharedAnswers<Value> {
  readonly #clock: Clock;
  readonly #bounds: { readonly ms: number; readonly entries: number };
  readonly #given = new Map<string, Given<Value>>();

  constructor(clock: Clock, bounds: { readonly ms: number; readonly entries: number }) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** Returns the answer that still holds, or null. */
  held(key: string): Promise<Value | null> | null {
    const given = this.#given.get(key);
    return given !== undefined && this.#clock.now() - given.at < this.#bounds.ms ? given.answer : null;
  }

  /** Returns the answer that still holds, or else asks now. Rejects as `ask` does. */
  get(key: string, ask: () => Promise<Value | null>): Promise<Value | null> {
    return this.held(key) ?? this.renew(key, ask);
  }

  /** Asks now, and keeps the answer. Rejects as `ask` does. */
  renew(key: string, ask: () => Promise<Value | null>): Promise<Value | null> {
    const answer = ask();
    const given = { at: this.#clock.now(), answer };
    remember(this.#given, key, given, this.#bounds.entries);
    const forget = (): void => {
      if (this.#given.get(key) === given) this.#given.delete(key);
    };
    answer.then((found) => {
      if (found === null) forget();
    }, forget);
    return answer;
  }

  forget(key: string): void {
    this.#given.delete(key);
  }
}
