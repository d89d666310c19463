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
  /**
   * Reserves memory for more bytes. Resolves when it is available.
   * @throws EmissaryError `limited` if too many wait for memory, or the answer's time is over
   */
  add(bytes: number): Promise<void>;
  free(): void;
}

/** An answer that holds memory for longer than this may be ended when others need some; in milliseconds. */
const GRACE_MS = 60_000;
const WAIT_MS = GRACE_MS + 15_000;
const FOR_LARGE = { common: 1, each: 1, own: 0, waitingEach: 4, waiting: 64, wait: WAIT_MS } as const;

/**
 * Bounds the memory of all answers that are held whole. Small ones share a common part. An answer that does not fit
 * there waits for its turn as the large one. Only one is large at a time and it has all it needs, so no two wait for
 * each other.
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
    const hold: HeldAnswer = new HeldAnswer({
      since: this.#clock.now(),
      revoke,
      tryTake: (bytes) => this.#tryTake(who, bytes, hold),
      give: (bytes) => this.#give(who, bytes),
      large: () => this.#takeLarge(who, abort),
      closed: () => this.#holds.delete(hold),
    });
    this.#holds.add(hold);
    if (abort.aborted) hold.free();
    else abort.addEventListener("abort", () => hold.free(), { once: true });
    return hold;
  }

  #tryTake(who: string, bytes: number, asking: HeldAnswer): boolean {
    if (this.#common + bytes > this.#bounds.common) this.#makeRoom(asking);
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
      if (!over.signal.aborted) this.#endLarge();
    });
    try {
      return await this.#large.take(who, abort);
    } finally {
      over.abort();
    }
  }

  /** Ends answers in the common part whose grace is over. */
  #makeRoom(asking: HeldAnswer): void {
    const before = this.#clock.now() - GRACE_MS;
    for (const hold of [...this.#holds]) {
      if (hold !== asking && hold.since <= before && hold.common > 0) hold.revoke();
    }
  }

  #endLarge(): void {
    for (const hold of [...this.#holds]) if (hold.isLarge) hold.revoke();
  }
}

interface HeldParts {
  readonly since: number;
  readonly revoke: (() => void) | null;
  readonly tryTake: (bytes: number) => boolean;
  readonly give: (bytes: number) => void;
  readonly large: () => Promise<Place>;
  readonly closed: () => void;
}

class HeldAnswer implements Hold {
  readonly #parts: HeldParts;
  #common = 0;
  #place: Place | null = null;
  #isOver = false;

  constructor(parts: HeldParts) {
    this.#parts = parts;
  }

  get since(): number {
    return this.#parts.since;
  }

  /** Bytes that it holds of the common part. */
  get common(): number {
    return this.#common;
  }

  get isLarge(): boolean {
    return this.#place !== null;
  }

  async add(bytes: number): Promise<void> {
    if (this.#isOver) throw over();
    if (this.#place !== null) return;
    if (this.#parts.tryTake(bytes)) {
      this.#common += bytes;
      return;
    }
    this.#becomeLarge(await this.#parts.large());
  }

  #becomeLarge(place: Place): void {
    // The answer may have ended meanwhile, or another part of it may also have waited.
    if (this.#isOver || this.#place !== null) place.free();
    if (this.#isOver) throw over();
    this.#place ??= place;
    this.#giveCommon();
  }

  free(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#giveCommon();
    this.#place?.free();
    this.#parts.closed();
  }

  revoke(): void {
    if (this.#parts.revoke === null) return;
    this.free();
    this.#parts.revoke();
  }

  #giveCommon(): void {
    if (this.#common > 0) this.#parts.give(this.#common);
    this.#common = 0;
  }
}

function over(): EmissaryError {
  return new EmissaryError("limited", "Others need the memory that this answer takes; try again later.", {
    reason: "share",
  });
}
