import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headOf } from "../../../src/peek/msc2753/holes.ts";
import {
  isOurToken,
  MAX_PLACES,
  positionOf,
  tokenOf,
  withoutOurTokens,
  type Place,
} from "../../../src/peek/msc2753/token.ts";
import type { RoomId } from "../../../src/model/ids.ts";

const place = fc.record({
  change: fc.nat(),
  seq: fc.nat(),
  from: fc.string(),
  heads: fc.array(fc.string(), { maxLength: 4 }),
});
const places = fc
  .array(fc.tuple(fc.string({ minLength: 1 }), place), { maxLength: MAX_PLACES })
  .map((rooms) => new Map(rooms.map(([id, at]): [RoomId, Place] => [`!${id.replaceAll("\0", "")}r` as RoomId, at])));

const tokenLike = (value: unknown): string => `peek1.${deflateRawSync(JSON.stringify(value)).toString("base64url")}`;

describe("a sync token of a device that peeks", () => {
  test("has all that it was made of, and is told from a homeserver's", () => {
    fc.assert(
      fc.property(fc.string(), places, (since, at) => {
        const token = tokenOf({ since, opening: "now", places: at });
        expect(isOurToken(token)).toBe(true);
        expect(token).toMatch(/^[\w.-]+$/);
        expect(positionOf(token)).toEqual({ since, opening: "now", places: at });
      }),
    );
    for (const other of ["s72595_4483_1934", "e5_7", "1"]) expect(isOurToken(other)).toBe(false);
  });

  test.each([
    ["/members?at=TOKEN", "/members?at=s7_1"],
    ["/messages?from=TOKEN&dir=b&to=TOKEN", "/messages?from=s7_1&dir=b&to=s7_1"],
    ["/keys/changes?from=TOKEN&to=s9_2", "/keys/changes?from=s7_1&to=s9_2"],
    ["/messages?dir=b&filter=%7B%7D&from=s9_2", "/messages?dir=b&filter=%7B%7D&from=s9_2"],
    ["/members", "/members"],
  ])("in %s goes to the homeserver as the one that it gave", (asked, sent) => {
    const token = tokenOf({ since: "s7_1", opening: "now", places: new Map() });
    expect(withoutOurTokens(asked.replaceAll("TOKEN", token))).toBe(sent);
  });

  test("that is broken is refused wherever it stands", () => {
    expect(() => withoutOurTokens("/members?at=peek1.broken")).toThrow(/sync without one/);
  });

  test("of as many rooms as one may peek into fits into a URL as Synapse's tokens are", () => {
    const stream = (n: number): string => `s${3633 + n}_757284957_6_478_3141592_65358_979_323846_0_2643_${n}`;
    const rooms = Array.from({ length: MAX_PLACES }, (_, n): [RoomId, Place] => [
      `!${Buffer.from(`${n * 7919}${n * 104729}${n * 1299709}aaaaaaaaaaaaaaaaaaaa`)
        .toString("base64url")
        .slice(0, 43)}` as RoomId,
      { change: 1000 + n, seq: 123_456 + n, from: stream(n), heads: [headOf(`$${n}`)] },
    ]);
    expect(tokenOf({ since: stream(99), opening: "openingname1", places: new Map(rooms) }).length).toBeLessThan(7_000);
  });

  test.each([
    ["nothing", "peek1."],
    ["no compressed text", "peek1.abc"],
    ["no object", tokenLike(["s1"])],
    ["no position of the homeserver's", tokenLike({ opening: "now", rooms: [] })],
    ["no opening", tokenLike({ since: "s1", rooms: [] })],
    ["no rooms", tokenLike({ since: "s1", opening: "now" })],
    ["a room that is none", tokenLike({ since: "s1", opening: "now", rooms: [["square", 1, 2, "s1"]] })],
    ["a number that is none", tokenLike({ since: "s1", opening: "now", rooms: [["!r", "1", 2, "s1"]] })],
    [
      "too many rooms",
      tokenLike({
        since: "s1",
        opening: "now",
        rooms: Array.from({ length: MAX_PLACES + 1 }, () => ["!r", 1, 2, "s"]),
      }),
    ],
    ["much out of little", tokenLike({ since: "s".repeat(1_000_000), opening: "now", rooms: [] })],
  ])("that holds %s is refused", (_what, token) => {
    expect(() => positionOf(token)).toThrow(expect.objectContaining({ code: "bad-parameter" }) as Error);
  });
});
