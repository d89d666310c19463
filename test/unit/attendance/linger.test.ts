import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lingerOf, LONGEST_MS } from "../../../src/attendance/linger.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe("how long the pseudouser stays after the last look", () => {
  test.each([
    ["nobody looked in (a bot was there)", 10 * MINUTE, 0, 1, 10 * MINUTE],
    ["somebody looked in once", 10 * MINUTE, 1, 1, 10 * MINUTE],
    ["in two hours", 10 * MINUTE, 2, 1, 20 * MINUTE],
    ["in four hours", 10 * MINUTE, 4, 1, 80 * MINUTE],
    ["in six hours", 10 * MINUTE, 6, 1, 320 * MINUTE],
    ["in seven hours: not without end", 10 * MINUTE, 7, 1, LONGEST_MS],
    ["in every hour", 10 * MINUTE, 24, 1, LONGEST_MS],
    ["the operator wants a day", 24 * HOUR, 24, 1, 24 * HOUR],
    ["the operator wants it gone at once", 0, 24, 1, 0],
    ["half of the rooms are used", 10 * MINUTE, 4, 500, 80 * MINUTE],
    ["more than half of them are", 10 * MINUTE, 4, 501, 10 * MINUTE],
    ["none may be", 10 * MINUTE, 4, 1, 10 * MINUTE, 0],
  ] as const)("%s", (_what, linger, hours, rooms, expected, maxRooms: number = 1_000) => {
    expect(lingerOf({ linger, hours, rooms, maxRooms })).toBe(expected);
  });

  test("is never less than what is configured, nor more than that or six hours, and grows with the hours", () => {
    const given = fc.record({
      linger: fc.nat(48 * HOUR),
      hours: fc.nat(25),
      rooms: fc.nat(2_000),
      maxRooms: fc.nat(2_000),
    });
    fc.assert(
      fc.property(given, (popularity) => {
        const stay = lingerOf(popularity);
        expect(stay).toBeGreaterThanOrEqual(popularity.linger);
        expect(stay).toBeLessThanOrEqual(Math.max(popularity.linger, LONGEST_MS));
        expect(lingerOf({ ...popularity, hours: popularity.hours + 1 })).toBeGreaterThanOrEqual(stay);
      }),
    );
  });
});
