import { expect, test } from "vitest";
import type { RoomId } from "../../../src/model/ids.ts";
import { FairQueue } from "../../../src/concurrency/fair-queue.ts";

function waiting(...names: string[]) {
  return names.map((name, nr) => ({ roomId: `!${nr}-${name}:x.example` as RoomId, who: name === "" ? null : name }));
}

/** Whose rooms were picked. */
function names(rooms: readonly RoomId[]): string {
  return rooms.map((room) => /-(\w*):/.exec(room)?.[1] ?? "").join(" ");
}

test("those who wait are served in turn, each in the order of its own rooms", () => {
  expect(names(new FairQueue().pick(waiting("a", "a", "a", "b", "c", "b"), 9))).toBe("a b c a b a");
});

test("who was served comes after those who were not, also the next time", () => {
  const queue = new FairQueue();
  expect(names(queue.pick(waiting("a", "a", "b"), 1))).toBe("a");
  expect(names(queue.pick(waiting("a", "b"), 1))).toBe("b");
  expect(names(queue.pick(waiting("a", "b", "c"), 3))).toBe("c a b");
});

test("a room for which nobody is known to wait stands for itself", () => {
  expect(names(new FairQueue().pick(waiting("a", "a", "", ""), 9))).toBe("a   a");
});

test("no more are picked than are asked for, and none of none", () => {
  expect(new FairQueue().pick(waiting("a", "b", "c"), 2)).toHaveLength(2);
  expect(new FairQueue().pick([], 2)).toEqual([]);
});
