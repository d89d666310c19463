import { expect, test } from "vitest";
import type { RoomId, ServerName } from "../../../src/model/ids.ts";
import { RouteHealth } from "../../../src/policy/route-health.ts";
import { ManualClock } from "../../support/clock.ts";

const ROOM = "!room" as RoomId;
const [a, b, c] = ["a.test", "b.test", "c.test"] as ServerName[] as [ServerName, ServerName, ServerName];

test("routes of which nothing is known keep their order, and all are passable", () => {
  const health = new RouteHealth(new ManualClock());
  expect(health.sorted(ROOM, [a, b, c])).toEqual([a, b, c]);
  expect(health.passable(ROOM, [a, b, c])).toEqual([a, b, c]);
});

test("one that says nothing stands last, and is left out once another leads there", () => {
  const health = new RouteHealth(new ManualClock());
  health.saidNothing(a);
  expect(health.sorted(ROOM, [a, b, c])).toEqual([b, c, a]);
  expect(health.passable(ROOM, [a, b, c])).toEqual([b, c, a]);
  health.led(ROOM, c);
  expect(health.sorted(ROOM, [a, b, c])).toEqual([c, b, a]);
  expect(health.passable(ROOM, [a, b, c])).toEqual([c, b]);
});

test("where nothing else is named a silent one is asked still, and one that fell silent leads nowhere", () => {
  const health = new RouteHealth(new ManualClock());
  health.led(ROOM, a);
  health.saidNothing(a);
  expect(health.passable(ROOM, [a])).toEqual([a]);
  expect(health.passable(ROOM, [a, b])).toEqual([b, a]);
  health.led(ROOM, a);
  expect(health.passable(ROOM, [b, a])).toEqual([a, b]);
});

test("what leads to one room says nothing of another, and after ten minutes nothing of its own", async () => {
  const clock = new ManualClock();
  const health = new RouteHealth(clock);
  health.led(ROOM, b);
  health.saidNothing(a);
  expect(health.leading("!other" as RoomId, [a, b])).toBeNull();
  await clock.advance(10 * 60_000);
  expect(health.leading(ROOM, [a, b])).toBeNull();
  expect(health.sorted(ROOM, [a, b])).toEqual([a, b]);
});

test("after a join that it did not grant, the one that leads there is one of many again", () => {
  const health = new RouteHealth(new ManualClock());
  health.saidNothing(a);
  health.led(ROOM, b);
  health.misled(ROOM);
  expect(health.passable(ROOM, [a, b, c])).toEqual([b, c, a]);
});
