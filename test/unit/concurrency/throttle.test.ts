import { describe, expect, test } from "vitest";
import { Throttle } from "../../../src/concurrency/throttle.ts";
import { ManualClock, settle } from "../../support/clock.ts";

const NEVER = new AbortController().signal;

/** When so many who come at once have their turns, milliseconds after they came. */
async function turnsOf(pace: Throttle, clock: ManualClock, count: number, wait: number): Promise<number[]> {
  const begun = clock.now();
  const turns: number[] = [];
  for (let n = 0; n < count; n += 1) void pace.turn(NEVER).then(() => turns.push(clock.now() - begun));
  await clock.advance(wait);
  return turns;
}

describe("the pace of joins", () => {
  test("the first has its turn at once, the others one gap after another", async () => {
    const clock = new ManualClock();
    expect(await turnsOf(new Throttle(5, clock), clock, 5, 10_000)).toEqual([0, 200, 400, 600, 800]);
  });

  test("idle time is not saved up", async () => {
    const clock = new ManualClock();
    const pace = new Throttle(5, clock);
    await turnsOf(pace, clock, 1, 60_000);
    expect(await turnsOf(pace, clock, 3, 10_000)).toEqual([0, 200, 400]);
  });

  test("whoever comes later queues behind the others", async () => {
    const clock = new ManualClock();
    const pace = new Throttle(1, clock);
    await turnsOf(pace, clock, 3, 500);
    expect(await turnsOf(pace, clock, 2, 10_000)).toEqual([2_500, 3_500]);
  });

  test("whoever is broken off does not wait", async () => {
    const clock = new ManualClock();
    const pace = new Throttle(0.001, clock);
    await pace.turn(NEVER);
    const abort = new AbortController();
    const waiting = pace.turn(abort.signal);
    await settle();
    abort.abort();
    await waiting;
  });

  test.each([30_000, 24 * 60 * 60_000])(
    "a clock set back by %i ms makes nobody wait longer than a gap",
    async (back) => {
      const clock = new ManualClock();
      const pace = new Throttle(1, clock);
      await turnsOf(pace, clock, 1, 0);
      clock.jumpTo(clock.now() - back);
      const [turn] = await turnsOf(pace, clock, 1, 120_000);
      expect(turn).toBeLessThanOrEqual(1_000);
    },
  );

  // A queue longer than a minute was taken for a clock that was set back: whoever came then had a turn at once, and so had all
  // after them. With `attendance.joins_per_second: 0.01` nothing was spaced out at all.
  test.each([
    [0.01, 3, [0, 100_000, 200_000]],
    [1, 100, Array.from({ length: 100 }, (_, n) => n * 1_000)],
  ])("%f in a second are not more with %i in the queue", async (perSecond, count, expected) => {
    const clock = new ManualClock();
    expect(await turnsOf(new Throttle(perSecond, clock), clock, count, 300_000)).toEqual(expected);
  });
});
