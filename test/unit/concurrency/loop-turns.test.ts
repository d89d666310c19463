import { setImmediate as nextIteration } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LoopTurns } from "../../../src/concurrency/loop-turns.ts";

describe("turns of the event loop", () => {
  it("are granted at once while few want one", async () => {
    const turns = new LoopTurns(2);
    const order: string[] = [];
    const first = turns.turn("a").then(() => order.push("turn"));
    queueMicrotask(() => order.push("microtask"));
    await first;
    await nextIteration();
    expect(order).toEqual(["turn", "microtask"]);
  });

  it("are so many in one iteration, whoever wants them, and a caller with one piece waits for one of each other", async () => {
    const turns = new LoopTurns(2);
    const order: string[] = [];
    for (let nr = 0; nr < 6; nr += 1) void turns.turn("greedy").then(() => order.push("greedy"));
    void turns.turn("modest").then(() => order.push("modest"));
    await Promise.resolve();
    expect(order).toEqual(["greedy", "greedy"]);
    await nextIteration();
    expect(order).toEqual(["greedy", "greedy", "greedy", "modest"]);
    await nextIteration();
    expect(order).toHaveLength(6);
  });

  it("come to everybody in the end, never more at once than may be", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 6 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        async (arrivals, most) => {
          const turns = new LoopTurns(most);
          let granted = 0;
          const wanted = arrivals.flat().length;
          for (const callers of arrivals) {
            const before = granted;
            for (const who of callers) void turns.turn(who).then(() => (granted += 1));
            await nextIteration();
            // What is left of this iteration, and the next one's.
            expect(granted - before).toBeLessThanOrEqual(2 * most);
          }
          for (let left = wanted; left > 0; left -= 1) await nextIteration();
          expect(granted).toBe(wanted);
        },
      ),
    ));
});
