/** Lets deeds of one key happen one at a time, in the order in which they come. Those of other keys are not held up. */
export class Turns {
  /** The end of the newest deed of each key; as many as there are requests under way. */
  readonly #ends = new Map<string, Promise<null>>();

  async take<T>(key: string, deed: () => Promise<T>): Promise<T> {
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
}
