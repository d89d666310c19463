/** The newest IDs, to detect repeats. Bounded: the oldest are forgotten first. */
export class RecentIds {
  readonly #ids = new Set<string>();
  /**
   * The same IDs in order of arrival, in a ring. A Set keeps that order too. But to find its first entry it steps over
   * every entry deleted since it last grew, so a long-running daemon would slow down.
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
