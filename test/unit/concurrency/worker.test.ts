import { expect, onTestFinished, test } from "vitest";
import { Signal } from "../../../src/concurrency/signal.ts";
import { workUntil, type Work } from "../../../src/concurrency/worker.ts";
import { ManualClock, settle } from "../../support/clock.ts";

function working(more: Partial<Work> & Pick<Work, "round">) {
  const clock = new ManualClock();
  const abort = new AbortController();
  const failures: unknown[] = [];
  const done = workUntil(abort.signal, { failed: (error) => failures.push(error), clock, ...more });
  onTestFinished(async () => {
    abort.abort();
    await done;
  });
  return { clock, abort, failures, done };
}

test("rests as long as the round says, and never longer than it may", async () => {
  let rounds = 0;
  const { clock } = working({ round: async () => ((rounds += 1) === 1 ? 100 : null), longest: 500 });
  await settle();
  expect(rounds).toBe(1);
  await clock.advance(99);
  expect(rounds).toBe(1);
  await clock.advance(1);
  expect(rounds).toBe(2);
  await clock.advance(499);
  expect(rounds).toBe(2);
  await clock.advance(1);
  expect(rounds).toBe(3);
});

test("a signal ends the rest, also one that fired while the round was at work", async () => {
  const signal = new Signal();
  let rounds = 0;
  const ends: (() => void)[] = [];
  const round = async (): Promise<null> => {
    rounds += 1;
    await new Promise<void>((resolve) => ends.push(resolve));
    return null;
  };
  working({ round, signals: [signal] });
  await settle();
  signal.notify();
  expect(rounds).toBe(1);
  ends.shift()?.();
  await settle();
  expect(rounds).toBe(2);
  ends.shift()?.();
  await settle();
  expect(rounds).toBe(2);
  signal.notify();
  await settle();
  expect(rounds).toBe(3);
  ends.shift()?.();
});

test("what fires during the pause after a rest is one round together", async () => {
  const signal = new Signal();
  let rounds = 0;
  const round = async (): Promise<null> => {
    rounds += 1;
    return null;
  };
  const { clock } = working({ round, signals: [signal], pause: () => 250 });
  await settle();
  for (let nr = 0; nr < 5; nr += 1) {
    signal.notify();
    await clock.advance(40);
  }
  expect(rounds).toBe(1);
  await clock.advance(50);
  expect(rounds).toBe(2);
  await clock.advance(10_000);
  expect(rounds).toBe(2);
});

test("a round that failed is told of and made again after a while, whatever is signalled", async () => {
  const signal = new Signal();
  let rounds = 0;
  const round = async (): Promise<null> => {
    rounds += 1;
    if (rounds === 1) throw new Error("the disk is full");
    return null;
  };
  const { clock, failures } = working({ round, signals: [signal], failedRest: 300 });
  await settle();
  expect(failures).toEqual([new Error("the disk is full")]);
  signal.notify();
  await clock.advance(299);
  expect(rounds).toBe(1);
  await clock.advance(1);
  expect(rounds).toBe(2);
});

test.for([
  ["a rest", async (): Promise<number | null> => 60_000],
  ["a rest without end", async (): Promise<number | null> => null],
  ["the wait after a failure", (): Promise<number | null> => Promise.reject(new Error("no"))],
] as const)("ends at once in %s, and leaves no timer and no waiter behind", async ([, round]) => {
  const signal = new Signal();
  const { clock, abort, done } = working({ round, signals: [signal] });
  await settle();
  abort.abort();
  await done;
  expect(clock.sleepers).toBe(0);
});
