/**
 * Wakes whoever waits for "something changed, look again". Carries no data, so that nothing can be lost in it or pile up in
 * it: a waiter reads what is true from storage before it waits and after it woke.
 */
export class Signal {
  #waiting = new Set<() => void>();

  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next notify, or when the signal aborts. Call it before reading what is waited for. */
  next(abort: AbortSignal): Promise<void> {
    if (abort.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        abort.removeEventListener("abort", wake);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      abort.addEventListener("abort", wake, { once: true });
    });
  }
}
