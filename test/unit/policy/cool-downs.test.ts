import { describe, expect, test } from "vitest";
import { afterStrike, type CoolDownCode, type Strikes } from "../../../src/policy/cool-down.ts";
import { START } from "../../support/clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long each of several cool-downs lasts, where each strike comes `rest` times the last length after the last one's end. */
function lengths(code: CoolDownCode, times: number, rest: number): number[] {
  let now = START;
  let last: Strikes | null = null;
  return Array.from({ length: times }, () => {
    const next = afterStrike(code, last, now);
    const length = next.until - now;
    last = next;
    now = next.until + rest * length;
    return length;
  });
}

describe("how long a room is kept away from", () => {
  test.each<[CoolDownCode, number[]]>([
    ["put-out", [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_080, 10_080].map((n) => n * MINUTE)],
    ["flooded", [1, 2, 4, 8, 16, 32, 64, 128, 168, 168].map((n) => n * HOUR)],
    ["too-complex", [1, 2, 4, 7, 7].map((n) => n * DAY)],
  ])("for %s doubles with each strike in a row, up to a week", (code, expected) => {
    expect(lengths(code, expected.length, 0)).toEqual(expected);
    expect(lengths(code, expected.length, 3.99)).toEqual(expected);
  });

  test("is the first again where four times the last length has passed since its end", () => {
    expect(lengths("flooded", 3, 4)).toEqual([HOUR, HOUR, HOUR]);
  });

  test("grows with a strike that comes while one lasts, too", () => {
    const first = afterStrike("put-out", null, START);
    expect(afterStrike("put-out", first, START + MINUTE)).toEqual({
      strikes: 2,
      until: START + 21 * MINUTE,
      forgetAt: START + 101 * MINUTE,
    });
  });

  test("stays a number after a thousand strikes", () => {
    expect(lengths("flooded", 1_100, 0).at(-1)).toBe(7 * DAY);
  });
});
