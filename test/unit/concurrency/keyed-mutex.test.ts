import { expect, test } from "vitest";
import { KeyedMutex } from "../../../src/concurrency/keyed-mutex.ts";
import { settle } from "../../support/clock.ts";

test("deeds of one key take turns in the order in which they come, whatever becomes of those before them", async () => {
  const mutex = new KeyedMutex<string>();
  const done: string[] = [];
  const ends = new Map<string, () => void>();
  const deed = (name: string): Promise<void> =>
    mutex.run(name.slice(0, 1), async () => {
      done.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      if (name === "a1") throw new Error("failed");
    });
  const [first, ...others] = ["a1", "a2", "b1", "a3"].map(deed);
  await settle();
  expect(done).toEqual(["a1", "b1"]);
  ends.get("a1")?.();
  await expect(first).rejects.toThrow("failed");
  await settle();
  expect(done).toEqual(["a1", "b1", "a2"]);
  for (const name of ["a2", "b1"]) ends.get(name)?.();
  await settle();
  ends.get("a3")?.();
  await Promise.all(others);
  expect(done).toEqual(["a1", "b1", "a2", "a3"]);
});

test("idle waits for what has come, whatever becomes of it", async () => {
  const mutex = new KeyedMutex<string>();
  const ends = Promise.withResolvers<undefined>();
  const deeds = [mutex.run("a", () => ends.promise), mutex.run("a", () => Promise.reject(new Error("failed")))];
  const settled = Promise.allSettled(deeds);
  let isIdle = false;
  const idle = mutex.idle().then(() => (isIdle = true));
  await settle();
  expect(isIdle).toBe(false);
  ends.resolve(undefined);
  await idle;
  expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  await mutex.idle();
});
