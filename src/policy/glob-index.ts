import { matches, mostSteps, type Effort } from "./glob.ts";

interface Pattern {
  readonly at: number;
  readonly glob: readonly string[];
  /** The longest text without a wildcard. A text that lacks it does not match. */
  readonly literal: string;
}

/** Patterns that are tried together, and the maximum cost of that. */
interface Bundle {
  readonly patterns: Pattern[];
  steps: number;
}

const GRAM = 3;
/** Globs with more wildcards are set aside. Merely reading a hundred thousand of them would take seconds. */
const MOST_WILDCARDS = 32;
/** Number of a glob's trigrams among which the index chooses the one to file it by. */
const GRAMS_LOOKED_AT = 16;

/**
 * The maximum cost of trying a bundle, in steps: one for a trigram, and the one of globs without a trigram. A text of
 * 255 characters has 253 trigrams, so a look-up takes at most about six million steps, or 10 ms, whatever the globs
 * and the text. That allows about ten `*word*` for each trigram, and hundreds of globs without one.
 */
export const MOST_STEPS = { byGram: 20_000, others: 500_000 } as const;

/**
 * Finds the first of many globs that matches a text, without trying each. Most globs are names, or a name with a star
 * before or after it: these are looked up. Any other glob is tried only if a trigram of it is in the text. If too many
 * of these share a trigram, the later ones are set aside and match nothing.
 */
export class GlobIndex {
  /** Positions of the globs that are set aside, in order. */
  readonly setAside: readonly number[];

  readonly #names = new Map<string, number>();
  readonly #beginnings = new Affixes();
  readonly #endings = new Affixes();
  readonly #byGram = new Map<number, Bundle>();
  readonly #others: Bundle = { patterns: [], steps: 0 };
  #any = Infinity;

  constructor(globs: readonly string[]) {
    const setAside: number[] = [];
    globs.forEach((glob, at) => {
      if (!this.#add(glob, at)) setAside.push(at);
    });
    this.setAside = setAside;
  }

  /** Returns the position of the first glob that matches, or Infinity. Adds the steps taken to `effort`. */
  first(text: string, effort: Effort = { steps: 0 }): number {
    let found = Math.min(
      this.#any,
      this.#names.get(text) ?? Infinity,
      this.#beginnings.first(text, (length) => text.slice(0, length)),
      this.#endings.first(text, (length) => text.slice(text.length - length)),
    );
    if (this.#byGram.size === 0 && this.#others.patterns.length === 0) return found;
    const characters = Array.from(text);
    const tryEach = ({ patterns }: Bundle): void => {
      for (const { at, glob, literal } of patterns) {
        if (at >= found) break;
        if (text.includes(literal) && matches(glob, characters, effort)) found = at;
      }
    };
    // A text may repeat a trigram.
    const grams = new Set<number>();
    for (let start = 0; start + GRAM <= text.length; start += 1) grams.add(gramAt(text, start));
    for (const gram of grams) {
      const bundle = this.#byGram.get(gram);
      if (bundle !== undefined) tryEach(bundle);
    }
    tryEach(this.#others);
    return found;
  }

  /** Adds a glob. Returns false if the glob is set aside. */
  #add(glob: string, at: number): boolean {
    if (wildcardsIn(glob) > MOST_WILDCARDS) return false;
    const literals = glob.split(/[*?]/);
    if (glob === "*") this.#any = Math.min(this.#any, at);
    else if (literals.length === 1) keepFirst(this.#names, glob, at);
    // A star next to half a surrogate pair needs matching by characters.
    else if (literals.length === 2 && glob.includes("*") && glob.isWellFormed()) {
      const [before = "", after = ""] = literals;
      if (after === "") this.#beginnings.add(before, at);
      else if (before === "") this.#endings.add(after, at);
      else return this.#file(glob, literals, at);
    } else return this.#file(glob, literals, at);
    return true;
  }

  /** Files a glob by its trigram with the smallest bundle. */
  #file(glob: string, literals: readonly string[], at: number): boolean {
    const steps = mostSteps(glob);
    const gram = this.#leastFiled(literals);
    const bundle = gram === null ? this.#others : (this.#byGram.get(gram) ?? { patterns: [], steps: 0 });
    const most = gram === null ? MOST_STEPS.others : MOST_STEPS.byGram;
    // A single glob is always tried: it takes at most about 33,000 steps.
    if (bundle.patterns.length > 0 && bundle.steps + steps > most) return false;
    const literal = literals.reduce((longest, other) => (other.length > longest.length ? other : longest), "");
    bundle.patterns.push({ at, glob: Array.from(glob), literal });
    bundle.steps += steps;
    if (gram !== null) this.#byGram.set(gram, bundle);
    return true;
  }

  #leastFiled(literals: readonly string[]): number | null {
    let least = Infinity;
    let gram: number | null = null;
    let looked = 0;
    for (const each of literals) {
      for (let start = 0; start + GRAM <= each.length && least > 0 && looked < GRAMS_LOOKED_AT; start += 1) {
        const filed = this.#byGram.get(gramAt(each, start))?.steps ?? 0;
        if (filed < least) [least, gram] = [filed, gramAt(each, start)];
        looked += 1;
      }
    }
    return gram;
  }
}

function wildcardsIn(glob: string): number {
  let wildcards = 0;
  for (let at = 0; at < glob.length; at += 1) {
    const code = glob.charCodeAt(at);
    if (code === STAR || code === QUESTION_MARK) wildcards += 1;
  }
  return wildcards;
}

const STAR = 0x2a;
const QUESTION_MARK = 0x3f;

/** Prefixes or suffixes to look up in texts. */
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

/** Returns a number for a trigram. Others may share it: then a glob is tried in vain. */
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
