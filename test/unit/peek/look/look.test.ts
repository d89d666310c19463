import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReaderWorld, Stranger } from "./world.ts";

/** Lets time pass until all that was asked for is answered. */
async function all<Value>(world: ReaderWorld, ...asked: Promise<Value>[]): Promise<Value[]> {
  const settled = Promise.all(asked);
  settled.catch(() => undefined);
  await world.clock.advance(1_000);
  return settled;
}

function tell(world: ReaderWorld, times = 1): void {
  for (let n = 0; n < times; n += 1) world.say();
  world.show();
  world.deliver();
}

/** Strangers who came at different times and were told something since. */
async function crowd(world: ReaderWorld, size: number): Promise<Stranger[]> {
  tell(world);
  const strangers: Stranger[] = [];
  for (let n = 0; n < size; n += 1) {
    world.stir();
    world.show();
    strangers.push(new Stranger(world));
  }
  tell(world);
  for (const stranger of strangers) await all(world, stranger.read());
  world.reads = 0;
  return strangers;
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom("say", "say", "hidden", "stir"), fc.integer({ min: 1, max: 4 })) },
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom("show", "deliver"), fc.constant(1)) },
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom("read", "read", "all", "lost", "poll", "polls"), fc.nat(5)) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("come", "redact", "wait", "flood", "fail"), fc.nat(5)) },
);

async function take(world: ReaderWorld, strangers: Stranger[], what: string, n: number): Promise<void> {
  const one = strangers[n % Math.max(1, strangers.length)];
  const failing = (reading: Promise<boolean>): Promise<boolean> => reading.catch(() => true);
  if (what === "say" || what === "hidden") for (let k = 0; k < n; k += 1) world.say(what === "say");
  else if (what === "stir") world.stir();
  else if (what === "flood") for (let k = 0; k < 130; k += 1) world.say();
  else if (what === "redact") world.say(true, { type: "m.room.redaction" });
  else if (what === "show") world.show();
  else if (what === "deliver") world.deliver();
  else if (what === "fail") world.failures = 1;
  else if (what === "wait") await world.clock.advance(n * 3_000);
  else if (what === "come") strangers.push(new Stranger(world));
  else if (what === "all") await all(world, ...strangers.map((each) => failing(each.read())));
  else if (what === "polls") await all(world, ...strangers.map((each) => failing(each.poll(n * 100))));
  else if (what === "poll" && one !== undefined) await all(world, failing(one.poll(n * 100)));
  else if (one !== undefined) await all(world, failing(one.read(what === "lost")));
}

describe("strangers to a room", () => {
  test("are each told all that strangers are shown, once and in order, whoever asks when", async () => {
    const steps = fc.array(step, { maxLength: 60, size: "max" });
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const world = new ReaderWorld();
        const strangers = [new Stranger(world)];
        for (const [what, n] of taken) await take(world, strangers, what, n);
        world.failures = 0;
        world.show();
        world.deliver();
        await world.clock.advance(1_000);
        for (let pages = 0; pages < 100; pages += 1) {
          const before = strangers.map(({ told }) => told.length).join();
          await all(world, ...strangers.map((each) => each.read()));
          if (before === strangers.map(({ told }) => told.length).join()) break;
        }
        for (const { told, since } of strangers) expect(told).toEqual(world.numbersAfter(since));
      }),
      { numRuns: 300 },
    );
  });

  test("share one look, after the first that each of them had from where they came", async () => {
    const world = new ReaderWorld();
    const strangers = await crowd(world, 50);
    for (let round = 0; round < 10; round += 1) {
      tell(world, 2);
      await all(world, ...strangers.map((each) => each.read()));
    }
    expect(world.reads).toBe(10);
    expect(new Set(strangers.map(({ told }) => told.length))).toEqual(new Set([21]));
  });

  test("who are some answers behind are told them without a look of their own", async () => {
    const world = new ReaderWorld();
    const [slow, ...others] = await crowd(world, 5);
    for (let round = 0; round < 5; round += 1) {
      tell(world);
      await all(world, ...others.map((each) => each.read()));
    }
    world.reads = 0;
    await all(world, slow!.read());
    expect([world.reads, slow!.told]).toEqual([0, others[0]!.told]);
  });

  test("are told at once what comes at once", async () => {
    const world = new ReaderWorld();
    const strangers = await crowd(world, 3);
    for (let n = 0; n < 30; n += 1) {
      tell(world);
      for (const each of strangers) void each.read();
      await world.clock.advance(10);
    }
    expect(world.reads).toBeLessThanOrEqual(5);
  });

  test("are told nothing of a room that was closed, not even what is held of it", async () => {
    const world = new ReaderWorld();
    const [slow, other] = await crowd(world, 2);
    tell(world);
    await all(world, other!.read());
    world.isClosed = true;
    world.say(false, { type: "m.room.history_visibility" });
    world.show();
    world.deliver();
    expect(await all(world, slow!.read(), other!.read())).toEqual([false, false]);
    // And so it stays for a while, without a look for each who asks.
    world.reads = 0;
    expect(await all(world, slow!.read(), other!.read())).toEqual([false, false]);
    expect(world.reads).toBe(0);
  });

  test("are told nothing by a reader who is more than a stranger", async () => {
    const world = new ReaderWorld();
    const strangers = await crowd(world, 2);
    world.membership = "invite";
    tell(world);
    expect(await all(world, ...strangers.map((each) => each.read()))).toEqual([false, false]);
  });

  test("are not told from memory what came before a redaction, nor what is long ago", async () => {
    const world = new ReaderWorld();
    const [slow, later, other] = await crowd(world, 3);
    tell(world);
    await all(world, other!.read());
    world.say(true, { type: "m.room.redaction" });
    world.show();
    world.deliver();
    await all(world, other!.read());
    world.reads = 0;
    await all(world, slow!.read());
    expect(world.reads).toBe(1);
    tell(world);
    await all(world, other!.read());
    await world.clock.advance(60_000);
    world.reads = 0;
    await all(world, later!.read());
    expect(world.reads).toBe(1);
  });

  test("have an event that the homeserver shows late", async () => {
    const world = new ReaderWorld();
    const [one] = await crowd(world, 1);
    world.say();
    world.deliver();
    await all(world, one!.read());
    expect(one!.told).toHaveLength(1);
    world.show();
    await all(world, one!.read());
    expect(one!.told).toHaveLength(2);
  });

  test("share one poll, which ends when something comes, or when nobody waits any more", async () => {
    const world = new ReaderWorld();
    const strangers = await crowd(world, 20);
    const polls = strangers.map((each) => each.poll(20_000));
    await world.clock.advance(5_000);
    expect([world.reads, world.open]).toEqual([1, 1]);
    tell(world);
    await all(world, ...polls);
    expect([world.reads, world.open]).toEqual([1, 0]);
    expect(new Set(strangers.map(({ told }) => told.length))).toEqual(new Set([2]));

    const gone = new AbortController();
    const patient = [strangers[0]!.poll(20_000), strangers[1]!.poll(60_000, gone.signal)];
    await world.clock.advance(20_000);
    expect(world.open).toBe(1);
    expect(await patient[0]).toBe(true);
    gone.abort();
    await world.clock.advance(0);
    expect(world.open).toBe(0);
  });

  test("who poll without waiting have what our journal knows of", async () => {
    const world = new ReaderWorld();
    const [one] = await crowd(world, 1);
    tell(world);
    await all(world, one!.poll(0));
    expect(one!.told).toHaveLength(2);
  });

  test("who poll are told nothing of a room that is closed while they wait", async () => {
    const world = new ReaderWorld();
    const strangers = await crowd(world, 2);
    const polls = strangers.map((each) => each.poll(20_000));
    await world.clock.advance(1_000);
    world.say(true, { type: "m.room.history_visibility" });
    world.show();
    expect(await all(world, ...polls)).toEqual([false, false]);
  });

  test("who are far behind are told page after page", async () => {
    const world = new ReaderWorld();
    const [one] = await crowd(world, 1);
    tell(world, 250);
    for (let page = 0; page < 3; page += 1) await all(world, one!.read());
    expect(one!.told).toEqual(world.numbersAfter(one!.since));
  });
});
