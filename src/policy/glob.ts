/** Longer ones are nobody's patterns; they are refused where they are made. */
export const MAX_GLOB = 255;

/** Whether a text is matched whole by one of the globs: `*` stands for any text, `?` for one character (spec, "Glob-style matching"). */
export function matchesGlob(globs: readonly string[], text: string): boolean {
  return globs.some(
    (glob) => glob === "*" || glob === text || (/[*?]/.test(glob) && matches(Array.from(glob), Array.from(text))),
  );
}

/**
 * Whether a glob matches a text, both as lists of their characters. Without a regular expression: those try every way to share a text between several stars. Only the last star seen needs to take
 * more, since what an earlier one could take more of, the last one can, too.
 */
export function matches(glob: readonly string[], text: readonly string[]): boolean {
  let g = 0;
  let t = 0;
  let afterStar = -1;
  let taken = 0;
  while (t < text.length) {
    if (glob[g] === "*") {
      g += 1;
      afterStar = g;
      taken = t;
    } else if (g < glob.length && (glob[g] === "?" || glob[g] === text[t])) {
      g += 1;
      t += 1;
    } else if (afterStar >= 0) {
      taken += 1;
      g = afterStar;
      t = taken;
    } else {
      return false;
    }
  }
  return glob.slice(g).every((rest) => rest === "*");
}
