/** Longer ones are nobody's patterns; they are refused where they are made. */
export const MAX_GLOB = 255;
/** Characters of the longest text that is asked about: identifiers (spec, "Size limits"). */
const MAX_TEXT = 255;

/** Characters looked at. */
export interface Effort {
  steps: number;
}

/**
 * What trying a glob takes at most, in steps, with a text of MAX_TEXT characters. What stands between two stars is tried at each place of
 * the text, and each time all but its end may agree. The text is gone through once for all of them together: so it is the
 * longest that counts, and no other costs more than that one.
 */
export function mostSteps(glob: string): number {
  const between = glob.split("*").slice(1);
  const longest = Math.max(0, ...between.map(({ length }) => length));
  return 2 * MAX_TEXT + 2 * longest * Math.max(1, MAX_TEXT + 1 - longest);
}

/** Whether a text is matched whole by one of the globs: `*` stands for any text, `?` for one character (spec, "Glob-style matching"). */
export function matchesGlob(globs: readonly string[], text: string): boolean {
  return globs.some(
    (glob) => glob === "*" || glob === text || (/[*?]/.test(glob) && matches(Array.from(glob), Array.from(text))),
  );
}

/**
 * Whether a glob matches a text, both as lists of their characters. Without a regular expression: those try every way to share a text between several stars. Only the last star seen needs to take
 * more, since what an earlier one could take more of, the last one can, too.
 * @param effort what this took is added to
 */
export function matches(glob: readonly string[], text: readonly string[], effort: Effort = { steps: 0 }): boolean {
  let g = 0;
  let t = 0;
  let afterStar = -1;
  let taken = 0;
  // Characters that the glob asks for from here on, and from after the last star on.
  let asked = 0;
  for (const one of glob) if (one !== "*") asked += 1;
  let askedAfterStar = asked;
  if (asked > text.length) return false;
  while (t < text.length) {
    effort.steps += 1;
    if (glob[g] === "*") {
      g += 1;
      afterStar = g;
      taken = t;
      askedAfterStar = asked;
    } else if (g < glob.length && (glob[g] === "?" || glob[g] === text[t])) {
      g += 1;
      t += 1;
      asked -= 1;
    } else if (afterStar >= 0) {
      taken += 1;
      if (text.length - taken < askedAfterStar) return false;
      g = afterStar;
      t = taken;
      asked = askedAfterStar;
    } else {
      return false;
    }
  }
  return glob.slice(g).every((rest) => rest === "*");
}
