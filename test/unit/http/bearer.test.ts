import { describe, expect, test } from "vitest";
import { isSameSecret, pathForLog, tokensOf } from "../../../src/http/bearer.ts";

function tokens(authorization: string | undefined, url = "/x"): (string | null)[] {
  const headers = authorization === undefined ? {} : { authorization };
  const { header, query } = tokensOf({ headers, url });
  return [header, query];
}

describe("the tokens of a request", () => {
  test.each([
    [undefined, null],
    ["", null],
    ["Bearer abc", "abc"],
    ["bearer abc", "abc"],
    ["BEARER   abc  ", "abc"],
    ["Bearer", null],
    ["Bearer ", null],
    ["Bearer a b", null],
    ["Bearerabc", null],
    ["Basic abc", null],
    ["Basic abc Bearer def", null],
    ["Bearer abc+/=._~-", "abc+/=._~-"],
  ])("the header %j holds %j", (header, token) => expect(tokens(header)).toEqual([token, null]));

  test.each([
    ["/x", null],
    ["/x?access_token=abc", "abc"],
    ["/x?a=1&access_token=a%2Bb&c", "a+b"],
    ["/x?access_token=", null],
    ["/x?access_token", null],
    ["/x?access_token=first&access_token=second", "first"],
    ["/x?ACCESS_TOKEN=abc", null],
    ["/x/access_token=abc", null],
    ["/x?q=?access_token=abc", null],
    ["", null],
  ])("the address %j holds %j", (url, token) => expect(tokens(undefined, url)).toEqual([null, token]));

  test("both are told where both are given", () => {
    expect(tokens("Bearer abc", "/x?access_token=def")).toEqual(["abc", "def"]);
  });
});

describe("secrets", () => {
  test.each([
    ["abc", "abc", true],
    ["é🙂", "é🙂", true],
    ["abc", "abd", false],
    ["abc", "abcd", false],
    ["", "abc", false],
    ["ABC", "abc", false],
    ["é", "e\u0301", false],
  ])("%j and %j are the same: %s", (given, expected, same) => expect(isSameSecret(given, expected)).toBe(same));
});

describe("what is logged of an address", () => {
  test.each([
    ["/x", "/x"],
    ["/x?access_token=secret", "/x"],
    ["/x?", "/x"],
    ["?access_token=secret", ""],
    ["/x%3Faccess_token=shown", "/x%3Faccess_token=shown"],
    ["/a?b?access_token=secret", "/a"],
  ])("%j is %j", (url, logged) => expect(pathForLog(url)).toBe(logged));
});
