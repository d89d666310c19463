/** The newest IDs, to detect repeats. Bounded: the oldest are forgotten first. */
export class RecentIds {
  readonly #ids = new Set<string>();
  /**
   * The same IDs in order of arrival. A Set's first entry is found by stepping over every entry deleted since it last
   * grew.
   */
  readonly #ring: string[] = [];
  #next = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    const before = this.#ids.size;
    if (this.#ids.add(id).size === before) return;
    const oldest = this.#ring[this.#next];
    if (oldest !== undefined) this.#ids.delete(oldest);
    this.#ring[this.#next] = id;
    this.#next = (this.#next + 1) % this.#limit;
  }

  get size(): number {
    return this.#ids.size;
  }
}
