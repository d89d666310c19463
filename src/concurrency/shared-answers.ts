import type { Clock } from "../model/clock.ts";
import { remember } from "./remember.ts";

interface Given<Value> {
  readonly at: number;
  readonly answer: Promise<Value | null>;
}

/**
 * Answers that hold for a while: many who ask the same at once share one question. One that found nothing, or failed, is not kept:
 * what is asked for may be there the next moment, and such answers would push out the others.
 */
export class SharedAnswers<Value> {
  readonly #clock: Clock;
  readonly #bounds: { readonly ms: number; readonly entries: number };
  readonly #given = new Map<string, Given<Value>>();

  constructor(clock: Clock, bounds: { readonly ms: number; readonly entries: number }) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** The answer that still holds, or null. */
  held(key: string): Promise<Value | null> | null {
    const given = this.#given.get(key);
    return given !== undefined && this.#clock.now() - given.at < this.#bounds.ms ? given.answer : null;
  }

  /** The answer that still holds, or else that to the question asked now. Rejects as `ask` does. */
  get(key: string, ask: () => Promise<Value | null>): Promise<Value | null> {
    return this.held(key) ?? this.renew(key, ask);
  }

  /** The answer to the question asked now, which holds from now on. Rejects as `ask` does. */
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
