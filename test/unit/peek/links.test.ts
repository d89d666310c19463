import { describe, expect, test } from "vitest";
import { routesOfLinks } from "../../../src/peek/named-routes.ts";

const answer = (content: object): Buffer =>
  Buffer.from(JSON.stringify({ chunk: [{ type: "m.room.message", content }] }));

describe("links to rooms with the servers that they name", () => {
  const cases: readonly (readonly [what: string, text: string, expected: unknown])[] = [
    ["matrix.to", "https://matrix.to/#/!abc?via=a.test&via=b.test:8448", [["!abc", ["a.test", "b.test:8448"]]]],
    ["encoded", "https://matrix.to/#/%21abc%3Aa.test?via=a.test", [["!abc:a.test", ["a.test"]]]],
    ["to an event", "https://matrix.to/#/!abc:a.test/$event?via=a.test", [["!abc:a.test", ["a.test"]]]],
    ["a matrix URI", "matrix:roomid/abc:a.test/e/event?via=a.test&action=join", [["!abc:a.test", ["a.test"]]]],
    ["in a text", "see (https://matrix.to/#/!abc?via=a.test), and more", [["!abc", ["a.test"]]]],
    ["in HTML", '<a href="https://matrix.to/#/!abc?via=a.test&amp;via=b.test">x</a>', [["!abc", ["a.test", "b.test"]]]],
    [
      "two",
      "matrix:roomid/a?via=a.test matrix:roomid/b?via=b.test",
      [
        ["!a", ["a.test"]],
        ["!b", ["b.test"]],
      ],
    ],
    ["to an alias", "https://matrix.to/#/%23abc:a.test?via=a.test", []],
    ["of another site", "https://a.test/#/!abc?via=a.test", []],
    ["without servers", "https://matrix.to/#/!abc", []],
    ["with what is no server", "https://matrix.to/#/!abc?via=%00&via=a b", [["!abc", ["a"]]]],
  ];
  test.each(cases)("%s", (_what, text, expected) => {
    expect(routesOfLinks(answer({ body: text }))).toEqual(expected);
  });

  test("are no more than two hundred of an answer, found in a time that its length bounds, and none of a huge one", () => {
    const link = (nr: number): string => `matrix:roomid/r${nr}?via=a.test `;
    const many = Array.from({ length: 1_000 }, (_, nr) => link(nr)).join("");
    expect(routesOfLinks(answer({ body: many }))).toHaveLength(200);
    expect(routesOfLinks(answer({ body: `${"x".repeat(1024 * 1024)}${link(1)}` }))).toEqual([]);
    const begun = performance.now();
    routesOfLinks(Buffer.from("?via=".repeat(200_000)));
    routesOfLinks(Buffer.from("matrix.to/#/".repeat(80_000)));
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});
