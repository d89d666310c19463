import { withLimit, type Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";

export interface ShareBounds {
  /** Places that all callers share, beside their own. */
  readonly common: number;
  /** Most places of one caller, including its own. */
  readonly each: number;
  /** Places reserved for each caller, regardless of others. 0 if the number of callers is not bounded. */
  readonly own: number;
  /** Most that may wait, of one caller and of all. */
  readonly waitingEach: number;
  readonly waiting: number;
  /** Longest wait, in milliseconds. */
  readonly wait: number;
}

export interface Place {
  /** Gives the place back. A second call changes nothing. */
  free(): void;
}

interface Waiting {
  readonly go: () => void;
}

interface Caller {
  held: number;
  /** In order of arrival. */
  readonly queue: Waiting[];
}

const RETRY_AFTER_MS = 1_000;
const NEVER = new AbortController().signal;

/**
 * Places of a scarce resource, shared by callers that do not trust each other: a caller who takes all it can get
 * leaves the others theirs. A caller that finds none waits. The caller with the fewest places comes first.
 */
export class Shares {
  readonly #what: string;
  readonly #bounds: ShareBounds;
  readonly #clock: Clock;
  readonly #refused: () => void;
  readonly #callers = new Map<string, Caller>();
  #common = 0;
  #waiting = 0;

  /**
   * @param what completes "Too many … are under way"
   * @param refused called with each caller that got no place
   */
  constructor(what: string, bounds: ShareBounds, clock: Clock, refused: () => void = () => {}) {
    this.#what = what;
    this.#bounds = bounds;
    this.#clock = clock;
    this.#refused = refused;
  }

  /** Number of taken places. */
  get held(): number {
    let held = 0;
    for (const caller of this.#callers.values()) held += caller.held;
    return held;
  }

  /** Returns a place if one is free for this caller and it has none waiting; else null. */
  tryTake(who: string): Place | null {
    const caller = this.#callers.get(who) ?? { held: 0, queue: [] };
    if (caller.queue.length > 0 || !this.#isFree(caller)) return null;
    this.#callers.set(who, caller);
    return this.#placeOf(who, caller);
  }

  /**
   * Returns a place, waiting for it if necessary.
   * @throws EmissaryError `limited` if too many wait, if it takes too long, or if the signal aborts
   */
  async take(who: string, abort: AbortSignal = NEVER): Promise<Place> {
    const place = this.tryTake(who);
    if (place !== null) return place;
    const { waiting, waitingEach, wait } = this.#bounds;
    const caller = this.#callers.get(who) ?? { held: 0, queue: [] };
    if (abort.aborted || caller.queue.length >= waitingEach || this.#waiting >= waiting) throw this.#tooMany();
    this.#callers.set(who, caller);
    const over = new AbortController();
    try {
      return await withLimit(this.#clock, wait, abort, (limit) => {
        return new Promise<Place>((resolve, reject) => {
          const one: Waiting = { go: () => resolve(this.#placeOf(who, caller)) };
          caller.queue.push(one);
          this.#waiting += 1;
          const giveUp = (): void => {
            const at = caller.queue.indexOf(one);
            if (at === -1) return;
            caller.queue.splice(at, 1);
            this.#waiting -= 1;
            this.#forget(who, caller);
            reject(this.#tooMany());
          };
          for (const signal of [limit, abort]) {
            signal.addEventListener("abort", giveUp, { once: true, signal: over.signal });
          }
        });
      });
    } finally {
      over.abort();
    }
  }

  /** Runs `deed` with a place, and gives the place back. @throws EmissaryError as take does; what `deed` throws */
  async with<Result>(who: string, abort: AbortSignal, deed: () => Promise<Result>): Promise<Result> {
    const place = await this.take(who, abort);
    try {
      return await deed();
    } finally {
      place.free();
    }
  }

  #isFree({ held }: Caller): boolean {
    const { own, each, common } = this.#bounds;
    return held < own || (held < each && this.#common < common);
  }

  #placeOf(who: string, caller: Caller): Place {
    if (caller.held >= this.#bounds.own) this.#common += 1;
    caller.held += 1;
    let isFree = false;
    return {
      free: () => {
        if (isFree) return;
        isFree = true;
        caller.held -= 1;
        // It does not matter which place it was: the places beyond a caller's own are common ones.
        if (caller.held >= this.#bounds.own) this.#common -= 1;
        this.#next(who, caller);
        this.#forget(who, caller);
      },
    };
  }

  /** Gives the freed place to the next waiting caller. A place of the caller's own goes only to itself. */
  #next(who: string, caller: Caller): void {
    if (this.#waiting === 0) return;
    let [name, least] = [who, caller];
    for (const [other, found] of this.#callers) {
      const isWaiting = found.queue.length > 0 && this.#isFree(found);
      if (isWaiting && (least.queue.length === 0 || !this.#isFree(least) || found.held < least.held)) {
        [name, least] = [other, found];
      }
    }
    if (least.queue.length === 0 || !this.#isFree(least)) return;
    // Moves it to the end: among callers with equally many places, the one let in longest ago comes first.
    this.#callers.delete(name);
    this.#callers.set(name, least);
    this.#waiting -= 1;
    least.queue.shift()?.go();
  }

  #forget(who: string, caller: Caller): void {
    if (caller.held === 0 && caller.queue.length === 0) this.#callers.delete(who);
  }

  #tooMany(): EmissaryError {
    this.#refused();
    return new EmissaryError("limited", `Too many ${this.#what} are under way; try again later.`, {
      reason: "share",
      retryAfter: RETRY_AFTER_MS,
    });
  }
}
