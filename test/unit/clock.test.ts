import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unsetTime } from "../../src/platform/clock.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const YEARS = 3_650 * DAY;

/** A machine: time passes, and somebody sets its clock. */
function machine() {
  let steady = 5_000;
  let set = 1_800_000_000_000;
  const now = unsetTime(
    () => set + steady,
    () => steady,
  );
  return {
    now,
    wall: () => set + steady,
    set: (by: number) => (set += by),
    pass: (ms: number) => (steady += ms),
    /** Time in which it is asked now and then, as it always is. */
    live: (ms: number): void => {
      for (let left = ms; left > 0; left -= MINUTE) {
        steady += Math.min(left, MINUTE);
        now();
      }
    },
  };
}

describe("the time of day while the program runs", () => {
  test.each([-10 * DAY, -YEARS])("goes on at its own pace where the clock is set back by %d", (by) => {
    const { now, set, live } = machine();
    const before = now();
    set(by);
    live(3 * DAY);
    expect(now()).toBe(before + 3 * DAY);
  });

  test("does not heed a clock that is years ahead for some minutes", () => {
    const { now, set, live, wall } = machine();
    set(YEARS);
    live(5 * MINUTE);
    expect(now()).toBe(wall() - YEARS);
    set(-YEARS);
    live(DAY);
    expect(now()).toBe(wall());
  });

  test("follows a clock that stays ahead, as after a machine was asleep, and one that is set by little", () => {
    const { now, set, live, pass, wall } = machine();
    set(8 * 60 * MINUTE);
    live(12 * MINUTE);
    expect(now()).toBe(wall());
    set(1_000);
    expect(now()).toBe(wall());
    set(-1_000);
    const held = now();
    pass(500);
    expect(now() - held).toBeGreaterThanOrEqual(249);
    expect(now() - held).toBeLessThan(500);
    live(2 * MINUTE);
    expect(now()).toBe(wall());
  });

  test("never goes back, whoever sets the clock, and time passes at half its speed at least", () => {
    const step = fc.record({
      set: fc.oneof(fc.constant(0), fc.integer({ min: -YEARS, max: YEARS }), fc.integer({ min: -MINUTE, max: MINUTE })),
      pass: fc.integer({ min: 0, max: 20 * MINUTE }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const { now, set, pass } = machine();
        for (const one of steps) {
          const before = now();
          set(one.set);
          pass(one.pass);
          expect(now() - before).toBeGreaterThanOrEqual(Math.floor(one.pass / 2) - 1);
        }
      }),
    );
  });
});
