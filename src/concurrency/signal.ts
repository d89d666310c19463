/**
 * Wakes waiters when something changed and they should look again. It carries no data, so nothing can get lost or pile
 * up in it: a waiter reads storage before it waits and after it wakes.
 */
export class Signal {
  #waiting = new Set<() => void>();

  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next notify, or when the signal aborts. Call it before you read the state you wait for. */
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
