import { matches } from "./glob.ts";

interface Pattern {
  readonly at: number;
  readonly glob: readonly string[];
  /** The longest text without a wildcard in it: what has it not, does not match. */
  readonly literal: string;
}

const GRAM = 3;

/**
 * Finds the first of many globs that matches a text, without trying each. Most are names, or a name with a star before or after it:
 * these are looked up. Any other is tried only where three characters that it asks for are in the text.
 */
export class GlobIndex {
  readonly #names = new Map<string, number>();
  readonly #beginnings = new Affixes();
  readonly #endings = new Affixes();
  readonly #byGram = new Map<number, Pattern[]>();
  readonly #others: Pattern[] = [];
  #any = Infinity;

  constructor(globs: readonly string[]) {
    globs.forEach((glob, at) => this.#add(glob, at));
  }

  /** The place of the first glob that matches, or Infinity. */
  first(text: string): number {
    let found = Math.min(this.#any, this.#names.get(text) ?? Infinity);
    found = Math.min(
      found,
      this.#beginnings.first(text, (length) => text.slice(0, length)),
    );
    found = Math.min(
      found,
      this.#endings.first(text, (length) => text.slice(text.length - length)),
    );
    if (this.#byGram.size === 0 && this.#others.length === 0) return found;
    const characters = Array.from(text);
    const tryEach = (patterns: readonly Pattern[]): void => {
      for (const { at, glob, literal } of patterns) {
        if (at >= found) break;
        if (text.includes(literal) && matches(glob, characters)) found = at;
      }
    };
    for (let start = 0; start + GRAM <= text.length; start += 1) {
      const patterns = this.#byGram.get(gramAt(text, start));
      if (patterns !== undefined) tryEach(patterns);
    }
    tryEach(this.#others);
    return found;
  }

  #add(glob: string, at: number): void {
    const literals = glob.split(/[*?]/);
    if (glob === "*") this.#any = Math.min(this.#any, at);
    else if (literals.length === 1) keepFirst(this.#names, glob, at);
    // A star next to half a character is a matter for whoever counts characters.
    else if (literals.length === 2 && glob.includes("*") && glob.isWellFormed()) {
      const [before = "", after = ""] = literals;
      if (after === "") this.#beginnings.add(before, at);
      else if (before === "") this.#endings.add(after, at);
      else this.#file(glob, literals, at);
    } else this.#file(glob, literals, at);
  }

  /** Files a glob by the one of its three characters in a row that fewest others are filed by. */
  #file(glob: string, literals: readonly string[], at: number): void {
    const literal = literals.reduce((longest, other) => (other.length > longest.length ? other : longest), "");
    const pattern = { at, glob: Array.from(glob), literal };
    let fewest = Infinity;
    let gram: number | null = null;
    for (const each of literals) {
      for (let start = 0; start + GRAM <= each.length && fewest > 0; start += 1) {
        const filed = this.#byGram.get(gramAt(each, start))?.length ?? 0;
        if (filed < fewest) [fewest, gram] = [filed, gramAt(each, start)];
      }
    }
    const filed = gram === null ? this.#others : (this.#byGram.get(gram) ?? []);
    filed.push(pattern);
    if (gram !== null) this.#byGram.set(gram, filed);
  }
}

/** Texts that others are to begin or to end with. */
class Affixes {
  readonly #places = new Map<string, number>();
  readonly #lengths = new Set<number>();

  add(affix: string, at: number): void {
    keepFirst(this.#places, affix, at);
    this.#lengths.add(affix.length);
  }

  first(text: string, cut: (length: number) => string): number {
    let found = Infinity;
    for (const length of this.#lengths) {
      if (length <= text.length) found = Math.min(found, this.#places.get(cut(length)) ?? Infinity);
    }
    return found;
  }
}

/** Stands for three characters in a row. Others may have the same number: then a glob is tried in vain. */
function gramAt(text: string, start: number): number {
  return (
    ((text.charCodeAt(start) & 0x3ff) << 20) |
    ((text.charCodeAt(start + 1) & 0x3ff) << 10) |
    (text.charCodeAt(start + 2) & 0x3ff)
  );
}

function keepFirst(places: Map<string, number>, key: string, at: number): void {
  if (!places.has(key)) places.set(key, at);
}
