import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import fc from "fast-check";
import { matches, matchesGlob, mostSteps } from "../../../src/policy/glob.ts";
import { GlobIndex, MOST_STEPS } from "../../../src/policy/glob-index.ts";

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

/** What a look-up may take, in characters looked at: 253 grams, and the globs without any. */
const BOUND = 253 * 33_000 + MOST_STEPS.others;

const TEXTS = ["a".repeat(255), "ab".repeat(127), `!${"a".repeat(200)}:b.example`, deBruijn()];
const HOSTILE: readonly (readonly [string, (n: number) => string])[] = [
  ["single characters between wildcards", (n) => `*${"a?".repeat(n % 120)}${"?a".repeat(7)}x${n % 10}`],
  ["stars and question marks", (n) => `${"?*".repeat(n % 127)}?${"?".repeat(n % 100)}x`],
  ["long runs that almost match", (n) => `*${"a".repeat(100)}${"?".repeat(n % 27)}x${n}`],
  ["runs between stars", (n) => `*${"a*".repeat(50)}${n}`],
  ["one gram in all", (n) => `*aaa*${"?".repeat(n % 120)}a?x*`],
  ["grams of the text", (n) => `*${TEXTS[3]!.slice(n % 250, (n % 250) + 3)}*${"?".repeat(120)}Z`],
  ["no gram at all", (n) => `*a*b${"?".repeat(n % 120)}*a?${"*b".repeat(n % 60)}Z`],
];

/** A text in which three characters in a row are hardly ever the same twice. */
function deBruijn(): string {
  return Array.from({ length: 255 }, (_, n) => "abcdefghijklmnop"[(n * n * 7 + n * 3 + (n >> 4)) % 16]).join("");
}

test.each(HOSTILE)(
  "a hundred thousand globs cost a look-up a bounded number of steps: %s",
  { timeout: 60_000 },
  (_what, glob) => {
    const globs = Array.from({ length: 100_000 }, (_, n) => glob(n).slice(0, 255));
    const index = new GlobIndex(globs);
    const heeded = new Set(globs.keys());
    for (const at of index.setAside) heeded.delete(at);
    for (const text of TEXTS) {
      const effort = { steps: 0 };
      const found = index.first(text, effort);
      expect(effort.steps).toBeLessThan(BOUND);
      // Of those that are heeded it is the first, as if each had been tried.
      const first = [...heeded].slice(0, 2_000).find((at) => matchesGlob([globs[at]!], text));
      expect(Math.min(found, first ?? Infinity)).toBe(first ?? found);
    }
  },
);

test("what trying one glob takes is never more than was reckoned", () => {
  const piece = fc.constantFrom("a", "aa", "aaaaaaaa", "?", "????????", "*", "b", "a".repeat(60));
  const glob = fc.array(piece, { maxLength: 12 }).map((pieces) => `*${pieces.join("")}`);
  const text = fc.tuple(fc.nat(254), fc.constantFrom("", "b")).map(([length, end]) => "a".repeat(length) + end);
  fc.assert(
    fc.property(glob, text, (written, given) => {
      const effort = { steps: 0 };
      matches(Array.from(written), Array.from(given), effort);
      expect(effort.steps).toBeLessThanOrEqual(mostSteps(written));
    }),
    { numRuns: 5_000 },
  );
});

test("an ordinary list loses nothing, however long it is", () => {
  const word = (n: number): string => createHash("sha256").update(String(n)).digest("base64url").toLowerCase();
  const globs = Array.from({ length: 100_000 }, (_, n) => {
    const name = word(n);
    const shapes = [
      `${name.slice(0, 9)}.example`,
      `*.${name.slice(0, 7)}.example`,
      `@${name.slice(0, 6)}*`,
      `@${name.slice(0, 12)}:x.example`,
    ];
    return n % 20 === 0 ? `*${name.slice(0, 8)}*` : (shapes[n % 4] ?? name);
  });
  expect(new GlobIndex(globs).setAside).toEqual([]);
});
