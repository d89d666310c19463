import type { Clock } from "../model/clock.ts";
import type { RoomAlias } from "../model/ids.ts";
import { Signal } from "../concurrency/signal.ts";

/** What is dropped beyond this the next sweep finds. */
export const MAX_QUEUED = 1_000;
/** An alias that was looked at is not looked at again before this, whatever events say of it. */
export const REST_MS = 10_000;

/** Aliases to look at, each once, in the order in which they may be. */
export class MentionQueue {
  readonly added = new Signal();
  readonly #clock: Clock;
  /** When each may be looked at. */
  readonly #due = new Map<RoomAlias, number>();
  /** When each was, for as long as that keeps it from being looked at again. */
  readonly #looked = new Map<RoomAlias, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#due.size;
  }

  add(aliases: readonly RoomAlias[]): void {
    for (const alias of aliases) {
      if (this.#due.has(alias) || this.#due.size >= MAX_QUEUED) continue;
      const looked = this.#looked.get(alias);
      this.#due.set(alias, looked === undefined ? 0 : looked + REST_MS);
    }
    if (aliases.length > 0) this.added.notify();
  }

  /** Takes the next that may be looked at now; else says how long none may be, milliseconds, null for none at all. */
  next(): { readonly alias: RoomAlias } | { readonly alias: null; readonly wait: number | null } {
    const now = this.#clock.now();
    for (const [alias, at] of this.#looked) if (at + REST_MS <= now || at > now) this.#looked.delete(alias);
    let first: RoomAlias | null = null;
    let at = Infinity;
    for (const [alias, due] of this.#due) {
      if (due >= at) continue;
      first = alias;
      at = due;
      if (due <= now) break;
    }
    if (first === null) return { alias: null, wait: null };
    if (at > now) return { alias: null, wait: at - now };
    this.#due.delete(first);
    this.#looked.set(first, now);
    return { alias: first };
  }
}
