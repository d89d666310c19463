import { eachMember, endOfValue, isListAt, isObjectAt, parsedBetween, skipSpace, stringAt } from "./json-bytes.ts";
import { mayNeedMasking, pseudouserNeedles, type Needle } from "./needles.ts";
import { isPseudouser } from "./pseudouser.ts";
import { isMembership, type Hidden } from "./rules.ts";
import { shapeOf, type AnswerKind, type Shape } from "./shapes.ts";

/**
 * Masks an answer that is JSON in UTF-8, as {@link maskAnswer} would, but without parsing the whole: the answer is read through
 * once, only events that name a pseudouser and small objects are parsed, and all else stays byte for byte as it was. The same bytes
 * come back where nothing was to mask, and where they are no JSON.
 */
export function maskBytes(kind: AnswerKind, json: Uint8Array, hidden: Hidden): Uint8Array {
  if (!mayNeedMasking(kind, json, hidden.also)) return json;
  try {
    const reading = new Reading(json, hidden);
    const end = reading.mask(shapeOf(kind), skipSpace(json, 0), null);
    return skipSpace(json, end) === json.length ? reading.result() : json;
  } catch (error) {
    // No JSON; or nested so deep that it cannot be written again.
    if (error instanceof SyntaxError || error instanceof RangeError) return json;
    throw error;
  }
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly by: Uint8Array;
}

const NOTHING = new Uint8Array();

/** One way through an answer, front to back. */
class Reading {
  readonly #bytes: Uint8Array;
  readonly #hidden: Hidden;
  readonly #namings: readonly Naming[];
  /** In order, and apart from each other. */
  readonly #edits: Edit[] = [];

  constructor(bytes: Uint8Array, hidden: Hidden) {
    this.#bytes = bytes;
    this.#hidden = hidden;
    this.#namings = pseudouserNeedles(hidden.also).map((needle) => new Naming(bytes, needle));
  }

  /** Masks the value at a place and answers where it ends. */
  mask(shape: Shape, at: number, roomId: string | null): number {
    const bytes = this.#bytes;
    switch (shape.kind) {
      case "object":
        if (!isObjectAt(bytes, at)) break;
        return eachMember(bytes, at, (key, value) => {
          const below = shape.at.get(stringAt(bytes, key));
          return below === undefined ? endOfValue(bytes, value) : this.mask(below, value, roomId);
        });
      case "rooms":
        if (!isObjectAt(bytes, at)) break;
        return eachMember(bytes, at, (key, value) => this.mask(shape.room, value, stringAt(bytes, key)));
      case "list":
        if (!isListAt(bytes, at)) break;
        return eachMember(bytes, at, (_start, value) => this.mask(shape.of, value, roomId));
      case "events":
        if (!isListAt(bytes, at)) break;
        return this.#leaveOut(
          at,
          (start, end) =>
            this.#mayName(start, end) && isMembership(parsedBetween(bytes, start, end), this.#hidden.also),
        );
      case "users":
        if (!isObjectAt(bytes, at)) break;
        return this.#leaveOut(at, (start) => isPseudouser(stringAt(bytes, start), this.#hidden.also));
      case "value": {
        const end = endOfValue(bytes, at);
        const value = parsedBetween(bytes, at, end);
        const masked = shape.rule(value, this.#hidden, roomId);
        if (masked !== value) this.#edit(at, end, new TextEncoder().encode(JSON.stringify(masked)));
        return end;
      }
    }
    return endOfValue(bytes, at);
  }

  /** The answer with all that was masked. */
  result(): Uint8Array {
    if (this.#edits.length === 0) return this.#bytes;
    const length = this.#edits.reduce((sum, { from, to, by }) => sum - (to - from) + by.length, this.#bytes.length);
    const masked = new Uint8Array(length);
    let [read, written] = [0, 0];
    for (const { from, to, by } of [...this.#edits, { from: this.#bytes.length, to: 0, by: NOTHING }]) {
      masked.set(this.#bytes.subarray(read, from), written);
      masked.set(by, written + from - read);
      written += from - read + by.length;
      read = to;
    }
    return masked;
  }

  /** Cuts members out of an object or elements out of a list, each with one of the commas beside it. */
  #leaveOut(at: number, isOut: (start: number, end: number) => boolean): number {
    let hasKept = false;
    /** Where the cut begins of one that went before any was kept: it reaches to the next one, for the comma between them. */
    let open = -1;
    let lastEnd = -1;
    const end = eachMember(this.#bytes, at, (start, value) => {
      if (open !== -1) this.#edit(open, start, NOTHING);
      open = -1;
      const valueEnd = endOfValue(this.#bytes, value);
      if (!isOut(start, valueEnd)) hasKept = true;
      else if (hasKept) this.#edit(lastEnd, valueEnd, NOTHING);
      else open = start;
      lastEnd = valueEnd;
      return valueEnd;
    });
    if (open !== -1) this.#edit(open, lastEnd, NOTHING);
    return end;
  }

  #edit(from: number, to: number, by: Uint8Array): void {
    this.#edits.push({ from, to, by });
  }

  #mayName(from: number, to: number): boolean {
    return this.#namings.some((naming) => naming.isWithin(from, to));
  }
}

/** Where a needle stands next. Asked front to back, so that the bytes are searched once however many events there are. */
class Naming {
  readonly #bytes: Uint8Array;
  readonly #needle: Needle;
  #next = -1;

  constructor(bytes: Uint8Array, needle: Needle) {
    this.#bytes = bytes;
    this.#needle = needle;
  }

  isWithin(from: number, to: number): boolean {
    if (this.#next < from) {
      const found = this.#needle.indexIn(this.#bytes, from);
      this.#next = found === -1 ? Infinity : found;
    }
    return this.#next < to;
  }
}
