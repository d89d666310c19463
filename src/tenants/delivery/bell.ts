/** Wakes a single waiter, and remembers a ring while nobody waits. */
export class Bell {
  #hasRung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Resolves once it has rung since the last call, or when the signal aborts. */
  async heard(abort: AbortSignal): Promise<void> {
    if (!this.#hasRung && !abort.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wake = null;
          abort.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake = wake;
        abort.addEventListener("abort", wake, { once: true });
      });
    }
    this.#hasRung = false;
  }
}
