/** Everything that a war decides by chance comes from one seed, so that it happens again. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** From 0 up to, and without, 1 (mulberry32). */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  chance(likely: number): boolean {
    return this.#next() < likely;
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error("there is nothing to pick from");
    return items[this.below(items.length)] as Item;
  }

  /** One of the lists, the likelier the larger its weight, and one of that. */
  among<Item>(...weighted: readonly (readonly [weight: number, items: readonly Item[]])[]): Item {
    const lists = weighted.filter(([, items]) => items.length > 0);
    let left = this.#next() * lists.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, items] of lists) {
      left -= weight;
      if (left < 0) return this.pick(items);
    }
    return this.pick(lists.at(-1)?.[1] ?? []);
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    const deck = [...items];
    for (let at = deck.length - 1; at > 0; at -= 1) {
      const other = this.below(at + 1);
      [deck[at], deck[other]] = [deck[other] as Item, deck[at] as Item];
    }
    return deck;
  }
}
