/** Longest glob. Longer ones are refused when they are made. */
export const MAX_GLOB = 255;
/** Longest text that is matched, in characters: an identifier (spec, "Size limits"). */
const MAX_TEXT = 255;

/** Number of characters compared. */
export interface Effort {
  steps: number;
}

/**
 * Returns the maximum number of steps to match a glob against a text of MAX_TEXT characters. The text between two
 * stars is tried at each position, and each time all but its last character may agree. All these parts together pass
 * over the text once, so the longest part bounds the cost.
 */
export function mostSteps(glob: string): number {
  const between = glob.split("*").slice(1);
  const longest = Math.max(0, ...between.map(({ length }) => length));
  return 2 * MAX_TEXT + 2 * longest * Math.max(1, MAX_TEXT + 1 - longest);
}

/** Whether a glob matches the whole text: `*` is any text, `?` is one character (spec, "Glob-style matching"). */
export function matchesGlob(globs: readonly string[], text: string): boolean {
  return globs.some(
    (glob) => glob === "*" || glob === text || (/[*?]/.test(glob) && matches(Array.from(glob), Array.from(text))),
  );
}

/**
 * Whether a glob matches a text, both as lists of characters. Uses no regular expression: those try every way to
 * divide a text between several stars. Here, only the last star takes more text: it can take what an earlier one could.
 * @param effort the steps taken are added to it
 */
export function matches(glob: readonly string[], text: readonly string[], effort: Effort = { steps: 0 }): boolean {
  let g = 0;
  let t = 0;
  let afterStar = -1;
  let taken = 0;
  // Characters that the glob still asks for: from here, and from after the last star.
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
