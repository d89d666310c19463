/** Time and randomness, passed in so that tests control them. The real ones are in src/platform/clock.ts. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump ahead; goes back only between two runs (Opened.setBack). */
  now(): number;
  /** Resolves after `ms` milliseconds, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Random {
  /** Returns a number in [0, 1). Not for secrets. */
  fraction(): number;
  /** Returns `bytes` unguessable bytes as unpadded base64url. */
  token(bytes: number): string;
}

/**
 * Runs work with a signal that aborts after `ms` milliseconds or with its parent. Always removes timer and listener.
 */
export async function withLimit<Value>(
  clock: Clock,
  ms: number,
  parent: AbortSignal,
  work: (limit: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const own = new AbortController();
  const freed = new AbortController();
  void clock.sleep(ms, AbortSignal.any([freed.signal, parent])).then(() => {
    if (!freed.signal.aborted) own.abort();
  });
  try {
    return await work(own.signal);
  } finally {
    freed.abort();
  }
}
