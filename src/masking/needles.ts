const QUOTE = 0x22;
const AT = 0x40;
const COLON = 0x3a;

/** Bytes that are looked for in others. */
export interface Needle {
  readonly length: number;
  /** Where it begins, at `from` or later; -1 where it does not. */
  indexIn(bytes: Uint8Array, from: number): number;
}

/**
 * `"@:`, with which every ID that has an empty localpart begins. JSON could write it with escapes (`\u0040`); no homeserver does,
 * and that a client sees a pseudouser then is the whole damage.
 */
const EMPTY_LOCALPART: Needle = {
  length: 3,
  indexIn(bytes, from) {
    let at = bytes.indexOf(AT, from + 1);
    while (at !== -1 && (bytes[at + 1] !== COLON || bytes[at - 1] !== QUOTE)) at = bytes.indexOf(AT, at + 1);
    return at === -1 ? -1 : at - 1;
  },
};

/** Longer texts are found by leaping (Horspool): only about every `length`th byte is looked at. */
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

/** What keys of counts end with (places.ts): of rooms in lists, and of others. */
const LISTED_COUNT = needle('num_joined_members"');
const COUNTS: readonly Needle[] = [needle('ed_member_count"'), needle('ed_count"'), LISTED_COUNT];

/** What stands in JSON where a pseudouser is named. */
export function pseudouserNeedles(also: readonly string[] = []): Needle[] {
  return [EMPTY_LOCALPART, ...also.map((userId) => needle(JSON.stringify(userId)))];
}

/** What stands in the element of a list where there is something to mask. */
export function elementNeedles(also: readonly string[] = []): Needle[] {
  return [...pseudouserNeedles(also), LISTED_COUNT];
}

/** Whether JSON can name a pseudouser at all: a search for bytes, without parsing. */
export function mayHoldPseudouser(json: Uint8Array, also: readonly string[] = []): boolean {
  return holdsAny(json, pseudouserNeedles(also));
}

/**
 * Whether an answer can hold something to mask: a pseudouser, or a count that may include one. A search for bytes, without parsing.
 * Where it says no, the answer can be passed on as it is.
 */
export function mayNeedMasking(json: Uint8Array, also: readonly string[] = []): boolean {
  return holdsAny(json, [...pseudouserNeedles(also), ...COUNTS]);
}

/** Where a needle stands next. Asked front to back, so that bytes are searched once, however many values there are in them. */
export class Finder {
  readonly #needle: Needle;
  /** Where it begins next, or -1 where it is not known to. Before `clear` there is no other. */
  #next = -1;
  #clear = 0;

  constructor(searched: Needle) {
    this.#needle = searched;
  }

  /** Whether it stands between two places. @param base the place of the first of the bytes */
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
