import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Shares, type Place, type ShareBounds } from "../../../src/concurrency/shares.ts";
import { ManualClock, settle } from "../../support/clock.ts";

const BOUNDS: ShareBounds = { common: 4, each: 3, own: 1, waitingEach: 2, waiting: 5, wait: 1_000 };

function scene(bounds: Partial<ShareBounds> = {}) {
  const clock = new ManualClock();
  const refused: number[] = [];
  const shares = new Shares("requests", { ...BOUNDS, ...bounds }, clock, () => refused.push(1));
  return { clock, shares, refused };
}

describe("places", () => {
  test("of one caller are bounded, and another's own are free all the same", () => {
    const { shares } = scene({ common: 2 });
    const taken = [1, 2, 3, 4].map(() => shares.tryTake("a"));
    expect(taken.map((place) => place !== null)).toEqual([true, true, true, false]);
    expect(shares.tryTake("b")).not.toBeNull();
    expect(shares.tryTake("b")).toBeNull();
  });

  test("that were given back twice are free once", () => {
    const { shares } = scene({ each: 1 });
    const place = shares.tryTake("a");
    place?.free();
    place?.free();
    expect(shares.held).toBe(0);
    expect(shares.tryTake("a")).not.toBeNull();
    expect(shares.tryTake("a")).toBeNull();
  });

  test("go to the one of those who wait that has least", async () => {
    const { shares } = scene({ common: 3, own: 0, each: 3 });
    const [first] = [shares.tryTake("a"), shares.tryTake("a"), shares.tryTake("a")];
    const got: string[] = [];
    void shares.take("a").then(() => got.push("a"));
    void shares.take("b").then(() => got.push("b"));
    first?.free();
    await settle();
    expect(got).toEqual(["b"]);
  });

  test("are waited for so long, by so many, and no longer than anybody wants one", async () => {
    const { shares, clock, refused } = scene({ common: 0 });
    shares.tryTake("a");
    const gone = new AbortController();
    const waiting = [shares.take("a", gone.signal), shares.take("a")].map((one) =>
      one.catch((error: unknown) => error),
    );
    await expect(shares.take("a")).rejects.toMatchObject({ code: "limited", reason: "share", retryAfter: 1_000 });
    gone.abort();
    expect(await waiting[0]).toMatchObject({ code: "limited" });
    await clock.advance(1_000);
    expect(await waiting[1]).toMatchObject({ code: "limited" });
    expect(refused).toHaveLength(3);
    expect(shares.held).toBe(1);
  });
});

test("whatever callers do, bounds hold, nobody waits while a place of its own is free, and in the end all is free", async () => {
  const step = fc.record({ who: fc.constantFrom("a", "b", "c", "d"), what: fc.constantFrom("take", "free", "leave") });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { shares, clock } = scene();
      const places: { who: string; place: Place }[] = [];
      const waiting: { who: string; gone: AbortController; isOver: boolean }[] = [];
      for (const { who, what } of steps) {
        if (what === "take") {
          const one = { who, gone: new AbortController(), isOver: false };
          waiting.push(one);
          const settled = (): void => {
            one.isOver = true;
          };
          void shares
            .take(who, one.gone.signal)
            .then((place) => places.push({ who, place }))
            .then(settled, settled);
        } else if (what === "free") {
          const at = places.findIndex((held) => held.who === who);
          if (at >= 0) places.splice(at, 1)[0]?.place.free();
        } else waiting.find((one) => one.who === who && !one.isOver)?.gone.abort();
        await settle();
        const heldBy = (name: string): number => places.filter((held) => held.who === name).length;
        const common = ["a", "b", "c", "d"].reduce((sum, name) => sum + Math.max(0, heldBy(name) - BOUNDS.own), 0);
        expect(common).toBeLessThanOrEqual(BOUNDS.common);
        for (const name of ["a", "b", "c", "d"]) {
          expect(heldBy(name)).toBeLessThanOrEqual(BOUNDS.each);
          const isWaiting = waiting.some((one) => one.who === name && !one.isOver);
          const isFree = heldBy(name) < BOUNDS.own || (heldBy(name) < BOUNDS.each && common < BOUNDS.common);
          expect(isWaiting && isFree).toBe(false);
        }
      }
      await clock.advance(BOUNDS.wait);
      for (const { place } of places) place.free();
      expect(shares.held).toBe(0);
    }),
    { numRuns: 100 },
  );
});
