import { describe, expect, test } from "vitest";
import { firstAnswer, type FirstAnswer } from "../../../src/policy/first-answer.ts";
import { ManualClock, settle } from "../../support/clock.ts";

const PATIENCE = 1_500;

/** What a question comes to, and after how many milliseconds. */
type Plan = readonly [after: number, comesTo: string | null | Error];

async function run(
  plans: readonly Plan[],
  until: number,
): Promise<{ result: FirstAnswer<string>; asked: number[]; told: number[]; took: number }> {
  const clock = new ManualClock();
  const asked: number[] = [];
  const told: number[] = [];
  const start = clock.now();
  const results: FirstAnswer<string>[] = [];
  let took = 0;
  const questions = plans.map(([after, comesTo], nr) => async (over: AbortSignal) => {
    asked.push(nr);
    over.addEventListener("abort", () => told.push(nr));
    await clock.sleep(after, over);
    if (comesTo instanceof Error) throw comesTo;
    return comesTo;
  });
  void firstAnswer(questions, PATIENCE, clock).then((answer) => {
    results.push(answer);
    took = clock.now() - start;
  });
  for (let at = 0; at < until && results.length === 0; at += 100) {
    await settle();
    await clock.advance(100);
  }
  await settle();
  const [result] = results;
  if (result === undefined) throw new Error("no result");
  return { result, asked, told, took };
}

const NEVER = 1_000_000;
const failed = new Error("failed");

describe("the first good answer counts", () => {
  const cases: readonly (readonly [
    what: string,
    plans: readonly Plan[],
    expected: Partial<FirstAnswer<string>>,
    asked: number,
    within: number,
  ])[] = [
    [
      "one that is quick",
      [
        [10, "a"],
        [10, "b"],
      ],
      { found: "a", by: 0, silent: [] },
      1,
      200,
    ],
    [
      "after one that is silent",
      [
        [NEVER, "a"],
        [10, "b"],
      ],
      { found: "b", by: 1, silent: [0] },
      2,
      1_800,
    ],
    [
      "after two that are silent",
      [
        [NEVER, "a"],
        [NEVER, "b"],
        [10, "c"],
      ],
      { found: "c", by: 2, silent: [0, 1] },
      3,
      3_400,
    ],
    [
      "after one that is no use, at once",
      [
        [10, null],
        [10, "b"],
      ],
      { found: "b", by: 1, silent: [] },
      2,
      300,
    ],
    [
      "after one that fails, at once",
      [
        [10, failed],
        [10, "b"],
      ],
      { found: "b", by: 1, silent: [] },
      2,
      300,
    ],
    [
      "of a slow one that others do not overtake",
      [
        [3_100, "a"],
        [NEVER, "b"],
      ],
      { found: "a", by: 0, silent: [1] },
      2,
      3_200,
    ],
    [
      "none where none is any use",
      [
        [10, null],
        [10, null],
      ],
      { found: null, by: null, silent: [], failure: null },
      2,
      400,
    ],
    [
      "none, and why, where one fails",
      [
        [10, failed],
        [10, null],
      ],
      { found: null, failure: failed },
      2,
      400,
    ],
    ["none of no questions", [], { found: null, by: null, silent: [], failure: null }, 0, 100],
    [
      "none of those that fail after long silence",
      [[5_000, failed]],
      { found: null, silent: [0], failure: failed },
      1,
      5_200,
    ],
  ];
  test.each(cases)("%s", async (_what, plans, expected, asked, within) => {
    const outcome = await run(plans, 20_000);
    expect(outcome.result).toMatchObject(expected);
    expect(outcome.asked).toHaveLength(asked);
    expect(outcome.told).toEqual(outcome.asked);
    expect(outcome.took).toBeLessThanOrEqual(within);
  });
});
