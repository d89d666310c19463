const QUOTE = 0x22;
const AT = 0x40;
const COLON = 0x3a;

export interface Needle {
  readonly length: number;
  /** Returns its first place, at `from` or later; -1 if there is none. */
  indexIn(bytes: Uint8Array, from: number): number;
}

/**
 * `"@:`, the start of every ID with an empty localpart. JSON could escape it (`\u0040`), but no homeserver does; the
 * only damage would be that a client sees a pseudouser.
 */
const EMPTY_LOCALPART: Needle = {
  length: 3,
  indexIn(bytes, from) {
    let at = bytes.indexOf(AT, from + 1);
    while (at !== -1 && (bytes[at + 1] !== COLON || bytes[at - 1] !== QUOTE)) at = bytes.indexOf(AT, at + 1);
    return at === -1 ? -1 : at - 1;
  },
};

/** Searches longer texts by leaping (Horspool): examines only about every `length`th byte. */
function needle(text: string): Needle {
  const wanted = new TextEncoder().encode(text);
  const last = wanted.length - 1;
  const leaps = new Uint32Array(256).fill(wanted.length);
  for (const [index, byte] of wanted.subarray(0, last).entries()) leaps[byte] = last - index;
  return {
    length: wanted.length,
    indexIn(bytes, from) {
      for (let end = from + last; end < bytes.length; end += leaps[bytes[end] ?? 0] ?? 1) {
        let index = last;
        while (index >= 0 && bytes[end - last + index] === wanted[index]) index--;
        if (index < 0) return end - last;
      }
      return -1;
    },
  };
}

/** The ends of keys of counts (places.ts): for rooms in lists, and for others. */
const LISTED_COUNT = needle('num_joined_members"');
const COUNTS: readonly Needle[] = [needle('ed_member_count"'), needle('ed_count"'), LISTED_COUNT];

/** Returns what JSON contains if it names a pseudouser. */
export function pseudouserNeedles(also: readonly string[] = []): Needle[] {
  return [EMPTY_LOCALPART, ...also.map((userId) => needle(JSON.stringify(userId)))];
}

/** Returns what a list's element contains if there may be something to mask. */
export function elementNeedles(also: readonly string[] = []): Needle[] {
  return [...pseudouserNeedles(also), LISTED_COUNT];
}

/** Whether JSON can name a pseudouser at all. Searches bytes without parsing. */
export function mayHoldPseudouser(json: Uint8Array, also: readonly string[] = []): boolean {
  return holdsAny(json, pseudouserNeedles(also));
}

/**
 * Whether an answer can hold something to mask: a pseudouser, or a count that may include one. If not, it can go on
 * unchanged. Searches bytes without parsing.
 */
export function mayNeedMasking(json: Uint8Array, also: readonly string[] = []): boolean {
  return holdsAny(json, [...pseudouserNeedles(also), ...COUNTS]);
}

/** Finds a needle's next place. Ask front to back: then each byte is searched once, however many values there are. */
export class Finder {
  readonly #needle: Needle;
  /** The next place, -1 if unknown. There is no other before `clear`. */
  #next = -1;
  #clear = 0;

  constructor(searched: Needle) {
    this.#needle = searched;
  }

  /** Whether the needle begins between two places. @param base the place of the first byte */
  isWithin(from: number, to: number, bytes: Uint8Array, base: number): boolean {
    if (this.#next < from) {
      if (this.#clear >= to) return false;
      const found = this.#needle.indexIn(bytes, Math.max(from, this.#clear) - base);
      this.#next = found === -1 ? -1 : found + base;
      this.#clear = found === -1 ? Math.max(0, base + bytes.length - this.#needle.length + 1) : found + base;
    }
    return this.#next >= from && this.#next < to;
  }
}

function holdsAny(bytes: Uint8Array, needles: readonly Needle[]): boolean {
  return needles.some((each) => each.indexIn(bytes, 0) !== -1);
}
