/** The newest of some names, to know a repetition by. Bounded: the oldest are forgotten first. */
export class RecentIds {
  readonly #ids = new Set<string>();
  /**
   * The same IDs in the order of their coming, in a ring. A Set keeps that order too, but finding its first entry means stepping
   * over all that were deleted before it since it last grew: the longer a daemon runs, the slower it would be.
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
