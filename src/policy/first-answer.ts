import type { Clock } from "../model/clock.ts";

/** The outcome of several questions, of which the first useful answer counts. */
export interface FirstAnswer<Found> {
  readonly found: Found | null;
  /** Index of the question with the useful answer, or null. */
  readonly by: number | null;
  /** Questions that were overdue and never got an answer. */
  readonly silent: readonly number[];
  /** The first failure, or null. */
  readonly failure: Error | null;
}

/**
 * Asks one after the other. The next question starts when the previous one got a useless answer, or none within
 * `patience` milliseconds, so a silent server costs no more than that. Aborts open questions at the end.
 */
export function firstAnswer<Found>(
  questions: readonly ((over: AbortSignal) => Promise<Found | null>)[],
  patience: number,
  clock: Clock,
): Promise<FirstAnswer<Found>> {
  const over = new AbortController();
  const open = new Map<number, { isOverdue: boolean }>();
  const silent = new Set<number>();
  const failures: Error[] = [];
  let begun = 0;
  return new Promise((resolve) => {
    const end = (found: Found | null, by: number | null): void => {
      for (const [nr, { isOverdue }] of open) if (isOverdue) silent.add(nr);
      over.abort();
      resolve({ found, by, silent: [...silent], failure: failures[0] ?? null });
    };
    const settle = (nr: number, found: Found | null): void => {
      if (over.signal.aborted) return;
      open.delete(nr);
      if (found !== null) end(found, nr);
      else if (begun < questions.length) begin();
      else if (open.size === 0) end(null, null);
    };
    const begin = (): void => {
      const nr = begun;
      const question = questions[nr];
      if (question === undefined) {
        end(null, null);
        return;
      }
      begun += 1;
      const asked = { isOverdue: false };
      open.set(nr, asked);
      question(over.signal).then(
        (found) => settle(nr, found),
        (error: unknown) => {
          failures.push(error instanceof Error ? error : new Error(String(error)));
          if (asked.isOverdue) silent.add(nr);
          settle(nr, null);
        },
      );
      void clock.sleep(patience, over.signal).then(() => {
        if (over.signal.aborted || !open.has(nr)) return;
        asked.isOverdue = true;
        if (nr === begun - 1 && begun < questions.length) begin();
      });
    };
    begin();
  });
}
