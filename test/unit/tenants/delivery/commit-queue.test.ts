import { expect, test } from "vitest";
import { CommitQueue } from "../../../../src/tenants/delivery/commit-queue.ts";
import type { Step } from "../../../../src/tenants/store/deliveries.ts";
import type { TenantId } from "../../../../src/model/ids.ts";
import { ManualClock } from "../../../support/clock.ts";
import { silent } from "../../../support/attending.ts";

function scene() {
  const commits: (readonly Step[])[] = [];
  const faults: Error[] = [];
  const write = async (steps: readonly Step[]): Promise<void> => {
    const fault = faults.shift();
    if (fault !== undefined) throw fault;
    commits.push(steps);
  };
  const clock = new ManualClock();
  return { commits, faults, clock, queue: new CommitQueue({ write }, clock, silent) };
}

const step = (tenant: string, cursor: number, pendingTo: number | null = null): Step => ({
  tenant: tenant as TenantId,
  epoch: 1,
  cursor,
  pendingTo,
  opening: "now",
});

test("steps of a hundred tenants in one turn are one commit, and each waits for it", async () => {
  const { queue, commits } = scene();
  const steps = Array.from({ length: 100 }, (_, at) => step(`t${at}`, 0, 1));
  await Promise.all(steps.map((one) => queue.soon(one)));
  expect(commits).toEqual([steps]);
});

test("the end of a transaction goes with the beginning of any other, or alone in a moment", async () => {
  const { queue, commits, clock } = scene();
  queue.done(step("one", 1));
  queue.done(step("one", 2));
  await queue.soon(step("two", 0, 5));
  expect(commits).toEqual([[step("one", 2), step("two", 0, 5)]]);
  queue.done(step("two", 5));
  await clock.advance(100);
  expect(commits.slice(1)).toEqual([[step("two", 5)]]);
});

test("what concerned nobody is not written with each event, but in a while, in one commit", async () => {
  const { queue, commits, clock } = scene();
  for (let cursor = 1; cursor <= 50; cursor += 1) {
    queue.idle(step("one", cursor));
    queue.idle(step("two", cursor));
    await queue.soon(step("three", cursor - 1, cursor));
  }
  expect(commits.every((steps) => steps.length === 1)).toBe(true);
  await clock.advance(10_000);
  expect(commits.at(-1)).toEqual([step("one", 50), step("two", 50)]);
});

test("what could not be written is told to who waits, and is written later unless there is something newer", async () => {
  const { queue, commits, faults, clock } = scene();
  faults.push(new Error("the disk is full"), new Error("the disk is full"));
  await expect(queue.soon(step("one", 0, 1))).rejects.toThrow("the disk is full");
  queue.done(step("two", 7));
  await clock.advance(100);
  queue.done(step("two", 8));
  await clock.advance(2_000);
  expect(commits).toEqual([[step("one", 0, 1), step("two", 8)]]);
});

test("closing writes what waits", async () => {
  const { queue, commits } = scene();
  queue.idle(step("one", 3));
  queue.done(step("two", 4));
  await queue.close();
  expect(commits).toEqual([[step("two", 4), step("one", 3)]]);
});
