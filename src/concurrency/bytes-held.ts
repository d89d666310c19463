import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { Shares, type Place } from "./shares.ts";

export interface HeldBounds {
  /** Bytes for all answers together, and for one caller. Beside them, one large answer at a time has what it needs. */
  readonly common: number;
  readonly each: number;
}

/** The memory of one answer, from its first byte until its caller has the last. */
export interface Hold {
  /** Reserves memory for more bytes. @throws EmissaryError `limited` if too many wait for it, or the answer is over */
  add(bytes: number): Promise<void>;
  free(): void;
}

/** An answer that holds memory for longer than this may be ended when others need some; in milliseconds. */
const GRACE_MS = 60_000;
const WAIT_MS = GRACE_MS + 15_000;
const FOR_LARGE = { common: 1, each: 1, own: 0, waitingEach: 4, waiting: 64, wait: WAIT_MS } as const;

/**
 * Bounds the memory of all answers that are held whole. Small ones share a common part. An answer that does not fit
 * there waits for its turn as the large one. Only one is large at a time, so no two wait for each other.
 */
export class BytesHeld {
  readonly #bounds: HeldBounds;
  readonly #clock: Clock;
  readonly #large: Shares;
  readonly #callers = new Map<string, number>();
  /** The oldest first. */
  readonly #holds = new Set<HeldAnswer>();
  #common = 0;

  /** @param refused called for each answer that got no memory */
  constructor(bounds: HeldBounds, clock: Clock, refused: () => void = () => {}) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#large = new Shares("large answers", FOR_LARGE, clock, refused);
  }

  /** Bytes of the common part in use. */
  get held(): number {
    return this.#common;
  }

  /**
   * @param abort aborts when the answer is over
   * @param revoke ends the answer when its grace is over and others need its memory; null if it ends with another
   */
  open(who: string, abort: AbortSignal, revoke: (() => void) | null): Hold {
    let place: Place | null = null;
    let isOver = false;
    const hold: HeldAnswer = { since: this.#clock.now(), common: 0, isLarge: false, revoke: () => {} };
    const giveCommon = (): void => {
      if (hold.common > 0) this.#give(who, hold.common);
      hold.common = 0;
    };
    const free = (): void => {
      if (isOver) return;
      isOver = true;
      giveCommon();
      place?.free();
      this.#holds.delete(hold);
    };
    hold.revoke = () => {
      if (revoke === null) return;
      free();
      revoke();
    };
    const becomeLarge = (large: Place): void => {
      // The answer may have ended meanwhile, or another part of it may also have waited.
      if (isOver || hold.isLarge) large.free();
      if (isOver) throw over();
      place ??= large;
      hold.isLarge = true;
      giveCommon();
    };
    const add = async (bytes: number): Promise<void> => {
      if (isOver) throw over();
      if (hold.isLarge) return;
      if (this.#tryTake(who, bytes, hold)) {
        hold.common += bytes;
        return;
      }
      becomeLarge(await this.#takeLarge(who, abort));
    };
    this.#holds.add(hold);
    if (abort.aborted) free();
    else abort.addEventListener("abort", free, { once: true });
    return { add, free };
  }

  #tryTake(who: string, bytes: number, asking: HeldAnswer): boolean {
    // Ends answers in the common part whose grace is over.
    if (this.#common + bytes > this.#bounds.common) {
      const before = this.#clock.now() - GRACE_MS;
      this.#revoke((hold) => hold !== asking && hold.since <= before && hold.common > 0);
    }
    const own = this.#callers.get(who) ?? 0;
    if (own + bytes > this.#bounds.each || this.#common + bytes > this.#bounds.common) return false;
    this.#callers.set(who, own + bytes);
    this.#common += bytes;
    return true;
  }

  #give(who: string, bytes: number): void {
    this.#common -= bytes;
    const left = (this.#callers.get(who) ?? bytes) - bytes;
    if (left === 0) this.#callers.delete(who);
    else this.#callers.set(who, left);
  }

  async #takeLarge(who: string, abort: AbortSignal): Promise<Place> {
    const place = this.#large.tryTake(who);
    if (place !== null) return place;
    const over = new AbortController();
    void this.#clock.sleep(GRACE_MS, AbortSignal.any([over.signal, abort])).then(() => {
      if (!over.signal.aborted) this.#revoke(({ isLarge }) => isLarge);
    });
    try {
      return await this.#large.take(who, abort);
    } finally {
      over.abort();
    }
  }

  #revoke(which: (hold: HeldAnswer) => boolean): void {
    for (const hold of [...this.#holds]) if (which(hold)) hold.revoke();
  }
}

interface HeldAnswer {
  readonly since: number;
  /** Bytes that it holds of the common part. */
  common: number;
  isLarge: boolean;
  revoke: () => void;
}

function over(): EmissaryError {
  const sentence = "Others need the memory that this answer takes; try again later.";
  return new EmissaryError("limited", sentence, { reason: "share" });
}
