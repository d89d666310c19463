/** Lets deeds of one key happen one at a time, in the order in which they come. Those of other keys are not held up. */
export class KeyedMutex<Key = null> {
  /** The end of the newest deed of each key; as many as there are deeds under way. */
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

  /** Resolves when all deeds that have come so far are over. */
  async idle(): Promise<void> {
    await Promise.all(this.#ends.values());
  }
}
