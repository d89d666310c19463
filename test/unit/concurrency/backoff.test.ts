import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoff } from "../../../src/concurrency/backoff.ts";
import type { Random } from "../../../src/model/clock.ts";
import { seededRandom } from "../../support/clock.ts";

const always = (fraction: number): Random => ({ fraction: () => fraction, token: () => "" });
const MOST = 10 * 60_000;

describe("the wait after a failure", () => {
  test.each([
    [1, 500, 1_000],
    [2, 1_000, 2_000],
    [3, 2_000, 4_000],
    [10, 256_000, 512_000],
    [11, MOST / 2, MOST],
    [1_000_000, MOST / 2, MOST],
    [0, 500, 1_000],
    [-1, 500, 1_000],
  ])("number %i is from %i to %i milliseconds", (tries, least, most) => {
    expect(backoff(tries, always(0))).toBe(least);
    expect(backoff(tries, always(1 - Number.EPSILON))).toBe(most);
  });

  test("has a first and a longest of its own where the caller wants", () => {
    expect(backoff(1, always(0.5), 100, 1_000)).toBe(75);
    expect(backoff(9, always(0.5), 100, 1_000)).toBe(750);
  });

  test("is never nothing, never endless, and differs between those who failed together", () => {
    const random = seededRandom(1);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (tries) => {
        const wait = backoff(tries, random);
        expect(wait).toBeGreaterThanOrEqual(500);
        expect(wait).toBeLessThanOrEqual(MOST);
      }),
      { seed: 6, numRuns: 200 },
    );
    expect(new Set(Array.from({ length: 20 }, () => backoff(5, random))).size).toBeGreaterThan(15);
  });
});
