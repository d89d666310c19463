import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Budgets, type BudgetSubject } from "../../../src/policy/budgets.ts";
import { ManualClock } from "../../support/clock.ts";

type Kind = "user" | "all";
const HOUR = 3_600_000;
const ALICE: BudgetSubject<Kind> = { kind: "user", name: "alice" };
const BOB: BudgetSubject<Kind> = { kind: "user", name: "bob" };
const ALL: BudgetSubject<Kind> = { kind: "all", name: "" };

function scene() {
  const clock = new ManualClock();
  const budgets = new Budgets<Kind>({ user: { joins: 2, per: HOUR }, all: { joins: 3, per: HOUR } }, clock);
  /** Whether all could pay. */
  const pay = (...subjects: BudgetSubject<Kind>[]): boolean => {
    if (budgets.shortage(subjects) !== null) return false;
    budgets.spend(subjects);
    return true;
  };
  return { clock, budgets, pay };
}

describe("a budget", () => {
  test("gives its burst at once, then its share as time goes by", async () => {
    const { clock, pay } = scene();
    expect([pay(ALICE), pay(ALICE), pay(ALICE)]).toEqual([true, true, false]);
    await clock.advance(HOUR / 2);
    expect([pay(ALICE), pay(ALICE)]).toEqual([true, false]);
  });

  test("says whose it is that is used up, and after which time there is one again", async () => {
    const { clock, budgets, pay } = scene();
    pay(ALICE);
    pay(ALICE);
    await clock.advance(HOUR / 8);
    expect(budgets.shortage([BOB, ALICE])).toEqual({
      subject: ALICE,
      budget: { joins: 2, per: HOUR },
      retryAfter: (HOUR * 3) / 8,
    });
  });

  test("of one does not touch another's; that of all is everybody's", () => {
    const { pay } = scene();
    expect([pay(ALICE, ALL), pay(ALICE, ALL), pay(BOB, ALL), pay(BOB, ALL)]).toEqual([true, true, true, false]);
  });

  test("that is out takes nothing from those that would have paid along", () => {
    const { budgets, pay } = scene();
    for (let times = 0; times < 3; times += 1) pay(ALL);
    expect(pay(BOB, ALL)).toBe(false);
    expect(budgets.levels(9).map(({ subject }) => subject)).toEqual([ALL]);
  });

  test("neither grows nor shrinks when the clock is set back", () => {
    const { clock, pay } = scene();
    pay(ALICE);
    clock.jumpTo(clock.now() - 10 * HOUR);
    expect([pay(ALICE), pay(ALICE)]).toEqual([true, false]);
  });

  test("that is made smaller holds at once, and never leaves more than its whole", async () => {
    const { clock, budgets, pay } = scene();
    pay(ALICE);
    budgets.setBudgets({ user: { joins: 1, per: HOUR }, all: { joins: 1, per: HOUR } });
    await clock.advance(9 * HOUR);
    expect([pay(ALICE), pay(ALICE)]).toEqual([true, false]);
  });

  test("of ten thousand others is remembered, and no more", () => {
    const { budgets } = scene();
    for (let nr = 0; nr < 20_000; nr += 1) budgets.spend([{ kind: "user", name: `${nr}` }]);
    expect(budgets.levels(Infinity)).toHaveLength(10_000);
  });

  test("in no stretch of time gives more than its burst and the time's share", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ wait: fc.integer({ min: 0, max: HOUR }), tries: fc.integer({ min: 0, max: 4 }) })),
        async (steps) => {
          const { clock, pay } = scene();
          const start = clock.now();
          let paid = 0;
          for (const { wait, tries } of steps) {
            await clock.advance(wait);
            for (let nr = 0; nr < tries; nr += 1) if (pay(ALICE)) paid += 1;
            expect(paid).toBeLessThanOrEqual(2 + ((clock.now() - start) * 2) / HOUR + 1e-6);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("the levels are those of whoever has the least, at most so many of a kind", () => {
    const { budgets, pay } = scene();
    pay(ALICE, ALL);
    pay(ALICE);
    pay(BOB);
    expect(budgets.levels(1)).toEqual([
      { subject: ALICE, left: 0, of: 2 },
      { subject: ALL, left: 2, of: 3 },
    ]);
  });
});
