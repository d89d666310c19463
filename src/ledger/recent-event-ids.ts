import type { Random } from "../model/clock.ts";
import { RecentIds } from "./recent-ids.ts";

/** An event ID since room version 4: the sigil and a SHA-256 in URL-safe base64 (spec, "Event IDs"); 44 characters. */
const HASH_ID = /^\$[\w-]{43}$/;
const WORDS = 44 / 4;

/**
 * The newest event IDs, to detect repeats. IDs that are hashes lie as bytes in a ring outside V8's heap, indexed by an
 * open-addressed table: strings in a Set would be most of the long-lived garbage. Other IDs are kept as strings.
 */
export class RecentEventIds {
  readonly #limit: number;
  /** The ring: WORDS words for each ID; the oldest is overwritten first. */
  readonly #ids: Uint32Array;
  /** Places in the ring plus one, at or after the cell that the ID's bytes give; 0 if empty. At most half is taken. */
  readonly #table: Uint32Array;
  readonly #mask: number;
  /** Authors of events can, with some work, choose their IDs. The salt hides where these lie in the table. */
  readonly #salt: number;
  readonly #asked = new Uint32Array(WORDS);
  readonly #askedBytes = Buffer.from(this.#asked.buffer);
  #next = 0;
  #held = 0;
  readonly #others: RecentIds;

  constructor(limit: number, random: Random) {
    this.#limit = limit;
    this.#ids = new Uint32Array(limit * WORDS);
    const cells = 2 ** Math.ceil(Math.log2(limit * 2));
    this.#table = new Uint32Array(cells);
    this.#mask = cells - 1;
    this.#salt = Math.floor(random.fraction() * 2 ** 32);
    this.#others = new RecentIds(limit);
  }

  has(id: string): boolean {
    if (!HASH_ID.test(id)) return this.#others.has(id);
    this.#askedBytes.write(id, 0, "latin1");
    return this.#table[this.#cellOf(this.#asked, 0)] !== 0;
  }

  add(id: string): void {
    if (this.has(id)) return;
    if (!HASH_ID.test(id)) {
      this.#others.add(id);
      return;
    }
    if (this.#held === this.#limit) this.#forget(this.#next);
    else this.#held += 1;
    this.#ids.set(this.#asked, this.#next * WORDS);
    this.#table[this.#cellOf(this.#asked, 0)] = this.#next + 1;
    this.#next = (this.#next + 1) % this.#limit;
  }

  get size(): number {
    return this.#held + this.#others.size;
  }

  /** Returns the table cell of an ID, or the empty cell where it would go. */
  #cellOf(words: Uint32Array, from: number): number {
    let cell = this.#homeOf(words, from);
    for (;;) {
      const place = this.#table[cell] ?? 0;
      if (place === 0 || this.#isAt(place - 1, words, from)) return cell;
      cell = (cell + 1) & this.#mask;
    }
  }

  #homeOf(words: Uint32Array, from: number): number {
    let mixed = this.#salt;
    for (let word = 0; word < WORDS; word += 1) {
      mixed = Math.imul(mixed ^ (words[from + word] ?? 0), 0x9e3779b1);
      mixed ^= mixed >>> 15;
    }
    return mixed & this.#mask;
  }

  #isAt(place: number, words: Uint32Array, from: number): boolean {
    for (let word = 0; word < WORDS; word += 1) {
      if (this.#ids[place * WORDS + word] !== words[from + word]) return false;
    }
    return true;
  }

  /** Empties an ID's cell, and moves up the later cells that could otherwise no longer be found (linear probing). */
  #forget(place: number): void {
    let hole = this.#cellOf(this.#ids, place * WORDS);
    this.#table[hole] = 0;
    for (let cell = (hole + 1) & this.#mask; this.#table[cell] !== 0; cell = (cell + 1) & this.#mask) {
      const place = this.#table[cell] ?? 0;
      const home = this.#homeOf(this.#ids, (place - 1) * WORDS);
      if (((cell - home) & this.#mask) < ((cell - hole) & this.#mask)) continue;
      this.#table[hole] = place;
      this.#table[cell] = 0;
      hole = cell;
    }
  }
}
