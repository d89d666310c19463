/**
 * Shares the event loop between callers whose work comes in many small pieces. At most `most` pieces are done in one
 * iteration of the loop, each caller's in turn, so other requests wait for a few pieces and not for all.
 */
export class LoopTurns {
  readonly #most: number;
  /** Who waits, by caller. A caller moves to the end with each turn. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #taken = 0;
  #isScheduled = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when the caller may do one piece. */
  turn(who: string): Promise<void> {
    this.#schedule();
    if (this.#taken < this.#most && this.#waiting.size === 0) {
      this.#taken += 1;
      return Promise.resolve();
    }
    return new Promise((go) => {
      const others = this.#waiting.get(who);
      if (others === undefined) this.#waiting.set(who, [go]);
      else others.push(go);
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#isScheduled = false;
    this.#taken = 0;
    // A caller that is added again comes up again, after the others.
    for (const [who, waiting] of this.#waiting) {
      if (this.#taken === this.#most) break;
      this.#taken += 1;
      const go = waiting.shift();
      this.#waiting.delete(who);
      if (waiting.length > 0) this.#waiting.set(who, waiting);
      go?.();
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
