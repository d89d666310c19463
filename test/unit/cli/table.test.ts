import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { facts, table, escapeJson, neutral, shorten, spoken, widthOf } from "../../../src/cli/text.ts";

describe("a table", () => {
  const columns = [{ title: "ROOM", whole: true }, { title: "NAME" }, { title: "MEMBERS", right: true }];

  test("aligns texts to the left and numbers to the right, and shows what is not known as -", () => {
    const rows = [
      ["!a:example.org", "Kitchen", 7],
      ["!long:example.org", null, 1200],
    ];
    expect(table(columns, rows, null)).toBe(
      [
        "ROOM               NAME     MEMBERS", //
        "!a:example.org     Kitchen        7",
        "!long:example.org  -           1200",
      ].join("\n"),
    );
  });

  test("stays aligned under letters that are two columns wide or none", () => {
    const rows = [
      ["!a", "日本", 1],
      ["!b", "e\u0301te\u0301", 2],
      ["!c", "🦊", 3],
    ];
    const widths = table(columns, rows, null).split("\n").map(widthOf);
    expect(new Set(widths).size).toBe(1);
  });

  test("is shortened to a terminal's width, but its IDs are not", () => {
    const rows = [["!aVeryLongRoomIdIndeed:example.org", "A name that goes on and on and on and on", 3]];
    const [, line = ""] = table(columns, rows, 60).split("\n");
    expect(line).toBe("!aVeryLongRoomIdIndeed:example.org  A name that go…        3");
    expect(widthOf(line)).toBe(60);
  });

  test("rather runs over a narrow terminal than becomes unreadable", () => {
    const rows = [["!aVeryLongRoomIdIndeed:example.org", "A name that goes on", 3]];
    expect(table(columns, rows, 20)).toContain("!aVeryLongRoomIdIndeed:example.org  A name …");
  });

  test("is not shortened for a file or a pipe", () => {
    expect(table(columns, [["!a", "x".repeat(500), 1]], null)).toContain("x".repeat(500));
  });
});

test("facts stand below each other", () => {
  expect(
    facts([
      ["room", "!a"],
      ["joined members", 3],
      ["name", null],
    ]),
  ).toBe(
    "room            !a\njoined members  3\nname            -", // prettier-ignore
  );
});

describe("what a stranger named a room does nothing to the operator's terminal", () => {
  test.each([
    ["colours and cursor", "\u001b[31mred\u001b[0m", "\\u{1b}[31mred\\u{1b}[0m"],
    ["the one-character form of the same", "\u009b31m", "\\u{9b}31m"],
    ["a window's title", "\u001b]0;owned\u0007", "\\u{1b}]0;owned\\u{7}"],
    ["a line of one's own", "a\r\nb\u2028c", "a\\u{d}\\u{a}b\\u{2028}c"],
    ["text that runs backwards", "\u202egro.elpmaxe", "\\u{202e}gro.elpmaxe"],
    ["isolated directions", "\u2066x\u2069", "\\u{2066}x\\u{2069}"],
    ["letters that do not show", "a\u200bb\ufeffc", "a\\u{200b}b\\u{feff}c"],
    ["half a letter", "a\ud800b", "a\\u{d800}b"],
  ])("%s", (_, given, shown) => {
    expect(neutral(given)).toBe(shown);
    expect(table([{ title: "NAME" }], [[given]], null)).toBe(`NAME\n${shown}`);
  });

  test("names of people stay as they are", () => {
    for (const name of ["Ångström", "Ελένη", "محمد", "日本語", "🦊"]) expect(neutral(name)).toBe(name);
  });

  test("JSON means the same and is as harmless", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: "binary" }), (value, text) => {
        const json = escapeJson(JSON.stringify([value, text], null, 2));
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify([value, text])));
        expect(json.replaceAll("\n", "")).toBe(neutral(json.replaceAll("\n", "")));
      }),
    );
  });
});

test("a shortened text is never wider than asked", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 20 }), (text, width) => {
      expect(widthOf(shorten(text, width))).toBeLessThanOrEqual(width);
    }),
  );
});

test.each([
  [0, "0s"],
  [999, "0s"],
  [61_000, "1m 1s"],
  [3_600_000, "1h"],
  [90_061_000, "1d 1h"],
])("%d ms are said as %s", (ms, words) => expect(spoken(ms)).toBe(words));
