import type { AnswerKind } from "./shapes.ts";

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

const NUM_JOINED_MEMBERS = needle('"num_joined_members"');

/** Keys of counts, which include pseudousers in answers that name none. */
const COUNTS: Partial<Record<AnswerKind, Needle>> = {
  // `m.joined_member_count` and `m.invited_member_count`
  sync: needle('ed_member_count"'),
  // `joined_count` and `invited_count`
  sliding_sync: needle('ed_count"'),
  room_summary: NUM_JOINED_MEMBERS,
  hierarchy: NUM_JOINED_MEMBERS,
  public_rooms: NUM_JOINED_MEMBERS,
};

/** What stands in JSON where a pseudouser is named. */
export function pseudouserNeedles(also: readonly string[] = []): Needle[] {
  return [EMPTY_LOCALPART, ...also.map((userId) => needle(JSON.stringify(userId)))];
}

/** Whether JSON can name a pseudouser at all: a search for bytes, without parsing. */
export function mayHoldPseudouser(json: Uint8Array, also: readonly string[] = []): boolean {
  return holdsAny(json, pseudouserNeedles(also));
}

/**
 * Whether an answer can hold something to mask: a pseudouser, or a count that may include one. A search for bytes, without parsing.
 * Where it says no, the answer can be passed on as it is.
 */
export function mayNeedMasking(kind: AnswerKind, json: Uint8Array, also: readonly string[] = []): boolean {
  return holdsAny(json, needlesFor(kind, also));
}

/** {@link mayNeedMasking} for an answer that comes in pieces, whatever stands across the seams. */
export class MaskingScan {
  readonly #needles: readonly Needle[];
  /** So many bytes at the end of what has come may be the beginning of a needle. */
  readonly #overlap: number;
  #tail: Uint8Array = new Uint8Array();
  #found = false;

  constructor(kind: AnswerKind, also: readonly string[] = []) {
    this.#needles = needlesFor(kind, also);
    this.#overlap = Math.max(...this.#needles.map(({ length }) => length)) - 1;
  }

  /** Takes the next piece. True from the piece on that completes something to mask. */
  add(piece: Uint8Array): boolean {
    if (this.#found) return true;
    const seam = joined(this.#tail, piece.subarray(0, this.#overlap));
    this.#found = holdsAny(seam, this.#needles) || holdsAny(piece, this.#needles);
    this.#tail = (piece.length < this.#overlap ? seam : piece).slice(-this.#overlap);
    return this.#found;
  }
}

function needlesFor(kind: AnswerKind, also: readonly string[]): Needle[] {
  const counts = COUNTS[kind];
  return [...pseudouserNeedles(also), ...(counts === undefined ? [] : [counts])];
}

function holdsAny(bytes: Uint8Array, needles: readonly Needle[]): boolean {
  return needles.some((each) => each.indexIn(bytes, 0) !== -1);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
