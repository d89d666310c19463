import { expect, test } from "vitest";
import { withLimit } from "../../../src/model/clock.ts";
import { ManualClock } from "../../support/clock.ts";

/** How many sleep, and who listens to the parent, after work that ended in some way. */
async function leftBy(work: (limit: AbortSignal) => Promise<unknown>): Promise<unknown[]> {
  let asleep = 0;
  const clock = new ManualClock();
  const counting = {
    now: () => clock.now(),
    sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
      asleep += 1;
      await clock.sleep(ms, signal);
      asleep -= 1;
    },
  };
  const outcome = await withLimit(counting, 60_000, new AbortController().signal, work).then(
    () => "done",
    (error: unknown) => String(error),
  );
  await clock.advance(0);
  return [outcome, asleep];
}

test("work within a limit leaves no wait behind, however it ends", async () => {
  expect(await leftBy(async () => null)).toEqual(["done", 0]);
  expect(await leftBy(async () => Promise.reject(new Error("no")))).toEqual(["Error: no", 0]);
  const thrower = (): Promise<never> => {
    throw new Error("at once");
  };
  expect(await leftBy(thrower)).toEqual(["Error: at once", 0]);
});

test("the limit aborts after its time, and with its parent", async () => {
  const clock = new ManualClock();
  const parent = new AbortController();
  const untilAborted = (limit: AbortSignal): Promise<string> =>
    new Promise((resolve) => limit.addEventListener("abort", () => resolve("late"), { once: true }));
  const late = withLimit(clock, 1_000, parent.signal, untilAborted);
  await clock.advance(1_000);
  expect(await late).toBe("late");
  const broken = withLimit(clock, 1_000, parent.signal, untilAborted);
  parent.abort();
  await clock.advance(0);
  expect(await broken).toBe("late");
});
