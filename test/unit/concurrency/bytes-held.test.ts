import { expect, test } from "vitest";
import { BytesHeld } from "../../../src/concurrency/bytes-held.ts";
import { ManualClock, settle } from "../../support/clock.ts";

function scene() {
  const clock = new ManualClock();
  const held = new BytesHeld({ common: 100, each: 60 }, clock);
  const revoked: string[] = [];
  const open = (who: string) => {
    const over = new AbortController();
    const hold = held.open(who, over.signal, () => {
      revoked.push(who);
      over.abort();
    });
    return { hold, end: () => over.abort() };
  };
  return { clock, held, open, revoked };
}

test("answers share what there is, and one that has no room is the large one, in turn", async () => {
  const { held, open } = scene();
  const [a, b, c] = [open("a"), open("b"), open("c")];
  await a.hold.add(60);
  await b.hold.add(40);
  await b.hold.add(1_000);
  expect(held.held).toBe(60);
  await c.hold.add(40);
  const more = c.hold.add(30).then(() => "added");
  await settle();
  expect(await Promise.race([more, Promise.resolve("waits")])).toBe("waits");
  b.end();
  expect(await more).toBe("added");
  for (const { end } of [a, c]) end();
  expect(held.held).toBe(0);
});

test("whoever had its minute makes room for others", async () => {
  const { clock, held, open, revoked } = scene();
  const [a, b, c] = [open("a"), open("b"), open("c")];
  await a.hold.add(60);
  await b.hold.add(40);
  await clock.advance(60_000);
  await c.hold.add(50);
  expect(revoked).toEqual(["a", "b"]);
  expect(held.held).toBe(50);
  await expect(a.hold.add(1)).rejects.toMatchObject({ code: "limited", reason: "share" });
});

test("the large one, too, makes room after its minute", async () => {
  const { clock, open, revoked } = scene();
  const [a, b] = [open("a"), open("b")];
  await a.hold.add(500);
  const more = b.hold.add(500);
  await clock.advance(60_000);
  await more;
  expect(revoked).toEqual(["a"]);
});
