import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { matchesGlob } from "../../../src/policy/glob.ts";

/** The rule as one would say it, without any expression: what the quick way is to agree with. */
function plainly(glob: string, text: string): boolean {
  if (glob === "") return text === "";
  if (glob[0] === "*") return plainly(glob.slice(1), text) || (text !== "" && plainly(glob, text.slice(1)));
  return text !== "" && (glob[0] === "?" || glob[0] === text[0]) && plainly(glob.slice(1), text.slice(1));
}

describe("a glob", () => {
  test("means what the rule says", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", ".", "\\", "[", "$", "\n"), maxLength: 8 });
    const globs = fc.string({ unit: fc.constantFrom("a", "b", ".", "\\", "[", "$", "*", "?"), maxLength: 8 });
    fc.assert(
      fc.property(globs, letters, (glob, text) => matchesGlob([glob], text) === plainly(glob, text)),
      { numRuns: 2_000 },
    );
  });

  test("of many stars is no trap: it is told at once that it does not match", () => {
    expect(matchesGlob([`${"*a".repeat(100)}b`], "a".repeat(255))).toBe(false);
  });

  test("one of several is enough, and none of none", () => {
    expect(matchesGlob(["x", "a*"], "abc")).toBe(true);
    expect(matchesGlob([], "abc")).toBe(false);
  });
});
