/**
 * Everything that the demo starts, in order, so that all of it is ended in the reverse order, whenever the end comes:
 * also while something is still starting, which nobody else holds by then.
 */
type Held = {
  readonly undo: () => Promise<void>;
  /** For an end that does not wait. */
  readonly undoNow: () => void;
};

export class Stage {
  readonly #held: Held[] = [];
  #isClosed = false;

  /** Resolves with what `start` resolves with. `undo` is called at the end, `undoNow` where the end is not to wait. */
  async hold<T>(
    start: () => Promise<T>,
    undo: (started: T) => Promise<void> = async () => undefined,
    undoNow: (started: T) => void = () => undefined,
  ): Promise<T> {
    if (this.#isClosed) throw new Error("the demo is ending, so nothing more is started");
    const started = start();
    let result: { readonly value: T } | undefined;
    const settled = started.then(
      (value) => {
        result = { value };
      },
      () => undefined,
    );
    this.#held.push({
      undo: async () => {
        await settled;
        if (result !== undefined) await undo(result.value);
      },
      undoNow: () => {
        if (result !== undefined) undoNow(result.value);
      },
    });
    return started;
  }

  /** Goes on to the next thing where ending one fails, and throws the first failure in the end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const failures: unknown[] = [];
    for (let held = this.#held.pop(); held !== undefined; held = this.#held.pop()) {
      await held.undo().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  closeNow(): void {
    this.#isClosed = true;
    for (const { undoNow } of [...this.#held].reverse()) {
      try {
        undoNow();
      } catch {
        // The next one is to be ended all the same, and nobody waits for explanations.
      }
    }
  }
}
