/** Runs the calls of one key one at a time, in order. Other keys do not wait. */
export class KeyedMutex<Key = null> {
  /** The end of the newest call of each key. It has as many entries as keys with calls under way. */
  readonly #ends = new Map<Key, Promise<null>>();

  async run<T>(key: Key, deed: () => Promise<T>): Promise<T> {
    const before = this.#ends.get(key);
    const { promise: end, resolve } = Promise.withResolvers<null>();
    this.#ends.set(key, end);
    try {
      await before;
      return await deed();
    } finally {
      if (this.#ends.get(key) === end) this.#ends.delete(key);
      resolve(null);
    }
  }

  /** Resolves when all calls made so far have ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#ends.values());
  }
}
