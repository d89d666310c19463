import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { FloodMeter } from "../../../src/policy/flood.ts";
import { START } from "../../support/clock.ts";
import { ALICE, OTHER_ROOM, OWN, ROOM } from "../../support/events.ts";

const SECOND = 1_000;

/** Events of a room, `age` milliseconds old when they arrive. */
function events(count: number, { room = ROOM, sender = ALICE, now = START, age = 0 } = {}) {
  return Array.from({ length: count }, () => ({ room_id: room, sender, origin_server_ts: now - age }));
}

/** Sends `rate` events a second for some seconds, one second at a time; when the room was told of first, in seconds. */
function firstTold(meter: FloodMeter, rate: number, seconds: number, more: { age?: number; sender?: UserId } = {}) {
  for (let second = 0; second < seconds; second += 1) {
    const now = START + second * SECOND;
    if (meter.count(events(rate, { now, ...more }), now).length > 0) return second;
  }
  return null;
}

describe("a room", () => {
  test.each([
    ["a little less than may be, for an hour", 9, 3_600, {}, null],
    ["a little more", 11, 30, {}, 9],
    ["ten times as much", 100, 30, {}, 1],
    ["a hundred times as much", 1_000, 30, {}, 0],
    ["what was held up on its way, nine times as much as else may be", 90, 600, { age: 61 * SECOND }, null],
    ["more than that", 110, 30, { age: 61 * SECOND }, 9],
    ["what says it was made a year from now", 11, 30, { age: -365 * 24 * 3_600 * SECOND }, 9],
    ["what we send ourselves", 1_000, 30, { sender: OWN }, null],
  ])("that sends %s", (_what, rate, seconds, more, told) => {
    expect(firstTold(new FloodMeter(10, OWN), rate, seconds, more)).toBe(told);
  });

  test("may send a burst of ten seconds' worth, and not one event more", () => {
    const meter = new FloodMeter(10, OWN);
    expect(meter.count(events(100), START)).toEqual([]);
    expect(meter.count(events(1), START)).toEqual([ROOM]);
  });

  test("pays for itself only", () => {
    const meter = new FloodMeter(10, OWN);
    const together = events(101).flatMap((event, n) => [event, ...events(Number(n < 100), { room: OTHER_ROOM })]);
    expect(meter.count(together, START)).toEqual([ROOM]);
  });

  test("is told of once, and again where it goes on for longer than twenty seconds", () => {
    const meter = new FloodMeter(10, OWN);
    const told = Array.from({ length: 41 }, (_, second) => {
      const now = START + second * SECOND;
      return meter.count(events(100, { now }), now).length;
    });
    expect(told.reduce((sum, one) => sum + one)).toBe(3);
  });

  test("that is flooded after a rest is told of", () => {
    const meter = new FloodMeter(10, OWN);
    meter.count(events(101), START);
    const later = START + 60 * SECOND;
    expect(meter.count(events(101, { now: later }), later)).toEqual([ROOM]);
  });

  test("goes by the new rate once it is set", () => {
    const meter = new FloodMeter(10, OWN);
    meter.setRate(1);
    expect(meter.count(events(11), START)).toEqual([ROOM]);
  });

  test("has a new beginning where the clock is set back", () => {
    const meter = new FloodMeter(10, OWN);
    meter.count(events(100), START);
    const before = START - 3_600 * SECOND;
    expect(meter.count(events(100, { now: before }), before)).toEqual([]);
    expect(meter.count(events(1, { now: before }), before)).toEqual([ROOM]);
  });
});

describe("whatever comes when", () => {
  const arrivals = fc.array(
    fc.record({ pause: fc.integer({ min: 0, max: 15_000 }), count: fc.integer({ min: 1, max: 60 }) }),
    { minLength: 1, maxLength: 60 },
  );

  test("no room is told of that never sent more than may be in any ten seconds", () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const meter = new FloodMeter(10, OWN);
        const sent: { at: number; count: number }[] = [];
        let now = START;
        for (const { pause, count } of all) {
          now += pause;
          const lately = sent.filter(({ at }) => at > now - 20 * SECOND).reduce((sum, one) => sum + one.count, 0);
          if (lately + count > 100) continue;
          sent.push({ at: now, count });
          expect(meter.count(events(count, { now }), now)).toEqual([]);
        }
      }),
    );
  });

  test("every room is told of that sends twice as much as may be within one window", () => {
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 0, max: 9_999 }), (all, offset) => {
        const meter = new FloodMeter(10, OWN);
        let told = 0;
        let now = START;
        for (const { pause, count } of all) {
          now += pause;
          told += meter.count(events(count, { now }), now).length;
        }
        now += offset;
        for (let n = 0; n < 4; n += 1) told += meter.count(events(101, { now }), now).length;
        expect(told).toBeGreaterThan(0);
      }),
    );
  });

  test("a hundred thousand rooms are counted, and no more are remembered", () => {
    const meter = new FloodMeter(1, OWN);
    const room = (n: number): RoomId => `!r${n}:remote.example` as RoomId;
    for (let n = 0; n < 100_001; n += 1) meter.count(events(1, { room: room(n) }), START);
    expect(meter.count(events(10, { room: room(0) }), START)).toEqual([room(0)]);
    expect(meter.count(events(1_000, { room: room(100_000) }), START)).toEqual([]);
  });
});
