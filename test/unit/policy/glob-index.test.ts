import { expect, test } from "vitest";
import fc from "fast-check";
import { matchesGlob } from "../../../src/policy/glob.ts";
import { GlobIndex } from "../../../src/policy/glob-index.ts";

const LETTERS = ["a", "b", "c", "é"];
const letters = fc.string({ unit: fc.constantFrom(...LETTERS), maxLength: 9 });

/** Globs that mostly match the text: it with some of its characters left to wildcards. */
const globFor = (text: string): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom("", "", "", "", "?", "*", "x"), { minLength: text.length + 1, maxLength: text.length + 1 })
    .map((marks) => marks.map((mark, at) => (mark === "?" ? mark : mark + text.slice(at, at + 1))).join(""))
    .chain((glob) =>
      fc
        .tuple(fc.nat(glob.length), fc.nat(glob.length), fc.boolean())
        .map(([from, to, isCut]) => (isCut && from < to ? `${glob.slice(0, from)}*${glob.slice(to)}` : glob)),
    );

test("the first glob that matches is found, as by trying one after the other", () => {
  const cases = letters.chain((text) => fc.tuple(fc.constant(text), fc.array(globFor(text), { maxLength: 12 })));
  fc.assert(
    fc.property(cases, letters, ([text, globs], other) => {
      const index = new GlobIndex(globs);
      for (const each of [text, other]) {
        const first = globs.findIndex((glob) => matchesGlob([glob], each));
        expect([each, index.first(each)]).toEqual([each, first < 0 ? Infinity : first]);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("ten thousand globs of a hostile list that all look like the text are tried, and no more", () => {
  const globs = Array.from({ length: 10_000 }, (_, n) => `*${"a*".repeat(50)}${n}`);
  expect(new GlobIndex(globs).first(`${"a".repeat(200)}7`)).toBe(7);
  expect(new GlobIndex(globs).first("a".repeat(200))).toBe(Infinity);
});
