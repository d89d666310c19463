/** Whoever writes into a room is limited by the homeserver now and then; what it wrote first is there first all the same. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LANE_PLACES, LANE_WAIT_MS, WriteLanes } from "../../../../src/tenants/act/checks/lane.ts";
import type { WholeAnswer } from "../../../../src/http/upstream.ts";
import type { RoomId, TenantId } from "../../../../src/model/ids.ts";
import { ManualClock, settle } from "../../../support/clock.ts";
import { OTHER_ROOM, ROOM } from "../../../support/events.ts";

const [TELEGRAM, IRC] = ["telegram" as TenantId, "irc" as TenantId];
const DONE: WholeAnswer = { status: 200, headers: {}, body: Buffer.from("{}") };

function limited(ms?: number, headers: Record<string, string> = {}): WholeAnswer {
  const body = Buffer.from(JSON.stringify({ errcode: "M_LIMIT_EXCEEDED", ...(ms && { retry_after_ms: ms }) }));
  return { status: 429, headers, body };
}

/** A homeserver that answers writes by `verdict`; what it took, and what was asked of it, in order. */
function scene(verdict: (name: string, now: number) => WholeAnswer | Promise<WholeAnswer> | Error) {
  const clock = new ManualClock();
  const began = clock.now();
  const abort = new AbortController();
  const lanes = new WriteLanes(clock, abort.signal);
  const [asked, taken]: [string[], string[]] = [[], []];
  const said = new Map<string, unknown>();
  const put = (name: string, tenant = TELEGRAM, room: RoomId = ROOM): void => {
    const call = async (): Promise<WholeAnswer> => {
      asked.push(name);
      const answer = await verdict(name, clock.now() - began);
      if (answer instanceof Error) throw answer;
      if (answer.status === 200) taken.push(name);
      return answer;
    };
    lanes.put(tenant, room, call).then(
      ({ status }) => said.set(name, status),
      (error: unknown) => said.set(name, error),
    );
  };
  return { clock, abort, put, asked, taken, said };
}

/** Limited until a moment, in milliseconds from the start, and then free. */
const until =
  (moment: number) =>
  (_name: string, now: number): WholeAnswer =>
    now < moment ? limited(moment - now) : DONE;

describe("writes", () => {
  test("go straight through, several at once, while none is limited", async () => {
    const answers = new Map<string, (answer: WholeAnswer) => void>();
    const { put, asked, taken } = scene((name) => new Promise((resolve) => answers.set(name, resolve)));
    for (const name of ["a", "b", "c"]) put(name);
    expect(asked).toEqual(["a", "b", "c"]);
    for (const name of ["c", "a", "b"]) {
      answers.get(name)?.(DONE);
      await settle();
    }
    expect(taken).toEqual(["c", "a", "b"]);
  });

  test("wait as long as the homeserver says, and are then taken in the order in which they came", async () => {
    const { clock, put, asked, taken, said } = scene(until(5_000));
    put("a");
    await settle();
    for (const name of ["b", "c"]) put(name);
    await clock.advance(4_999);
    expect(asked).toEqual(["a"]);
    expect(said.size).toBe(0);
    await clock.advance(1);
    expect(taken).toEqual(["a", "b", "c"]);
    expect([...said]).toEqual([
      ["a", 200],
      ["b", 200],
      ["c", 200],
    ]);
  });

  test("that were under way together wait in the order in which they came, however they are answered", async () => {
    const answers = new Map<string, (answer: WholeAnswer) => void>();
    const first = new Set<string>();
    const { clock, put, taken } = scene((name) => {
      if (first.has(name)) return DONE;
      first.add(name);
      return new Promise((resolve) => answers.set(name, resolve));
    });
    for (const name of ["a", "b", "c"]) put(name);
    for (const name of ["c", "b", "a"]) {
      answers.get(name)?.(limited(1_000));
      await settle();
    }
    await clock.advance(1_000);
    expect(taken).toEqual(["a", "b", "c"]);
  });

  test("go straight through again once all who waited are through", async () => {
    const { clock, put, asked } = scene(until(1_000));
    put("a");
    await clock.advance(1_000);
    for (const name of ["b", "c"]) put(name);
    expect(asked).toEqual(["a", "a", "b", "c"]);
    await settle();
    expect(clock.sleepers).toBe(0);
  });

  test("into another room and of another tenant do not wait with them", async () => {
    const { put, taken } = scene((name) => (name === "a" ? limited(60_000) : DONE));
    put("a");
    await settle();
    put("same");
    put("other room", TELEGRAM, OTHER_ROOM);
    put("other tenant", IRC, ROOM);
    await settle();
    expect(taken).toEqual(["other room", "other tenant"]);
  });

  test.each<[what: string, answer: WholeAnswer, pause: number]>([
    ["in the body", limited(2_500), 2_500],
    ["in the header", limited(undefined, { "retry-after": "3" }), 3_000],
    ["in both: the body is more exact", limited(2_500, { "retry-after": "3" }), 2_500],
    ["nowhere", limited(), 1_000],
    ["in no number", limited(undefined, { "retry-after": "Wed, 25 Nov 2026 00:00:00 GMT" }), 1_000],
    ["as no time at all", limited(undefined, { "retry-after": "0" }), 100],
  ])("wait the time that is said %s", async (_what, answer, pause) => {
    let first = true;
    const { clock, put, taken } = scene(() => {
      const said = first ? answer : DONE;
      first = false;
      return said;
    });
    put("a");
    await clock.advance(pause - 1);
    expect(taken).toEqual([]);
    await clock.advance(1);
    expect(taken).toEqual(["a"]);
  });

  test("that fail otherwise are answered, and those behind them go on", async () => {
    const broken = new Error("unreachable");
    const { clock, put, taken, said } = scene((name, now) => {
      if (now < 1_000) return limited(1_000);
      return name === "b" ? broken : name === "c" ? { ...DONE, status: 500 } : DONE;
    });
    put("a");
    await settle();
    for (const name of ["b", "c", "d"]) put(name);
    await clock.advance(1_000);
    expect(taken).toEqual(["a", "d"]);
    expect([said.get("b"), said.get("c")]).toEqual([broken, 500]);
  });
});

describe("too long a wait", () => {
  test("is given up by the first and by all behind it, so that none is ahead of the first's repetition", async () => {
    const { clock, put, asked, said } = scene((_name, now) => limited(now < 30_000 ? 30_000 : 40_000));
    put("a");
    await clock.advance(29_000);
    put("b");
    await clock.advance(1_000);
    expect(asked).toEqual(["a", "a"]);
    for (const name of ["a", "b"]) {
      expect(said.get(name)).toMatchObject({ code: "limited", reason: "homeserver", retryAfter: 40_000 });
    }
  });

  test("is one that adds up, too", async () => {
    const { clock, put, said } = scene(() => limited(7_000));
    put("a");
    await clock.advance(LANE_WAIT_MS);
    expect(said.get("a")).toMatchObject({ code: "limited", retryAfter: 7_000 });
    expect(clock.sleepers).toBe(0);
  });

  test("does not begin where a tenant has a hundred waiting; other tenants have their own", async () => {
    const { clock, put, said, taken } = scene(until(1_000));
    for (let n = 0; n < LANE_PLACES; n += 1) {
      put(`w${n}`, TELEGRAM, n % 2 === 0 ? ROOM : OTHER_ROOM);
      await settle();
    }
    put("one too many");
    put("other tenant", IRC);
    await settle();
    expect(said.get("one too many")).toMatchObject({ code: "limited", retryAfter: 1_000 });
    await clock.advance(1_000);
    expect(taken).toHaveLength(LANE_PLACES + 1);
    put("after");
    await settle();
    expect(said.get("after")).toBe(200);
  });

  test("ends when we are stopped", async () => {
    const { abort, put, said } = scene(until(50_000));
    for (const name of ["a", "b"]) {
      put(name);
      await settle();
    }
    abort.abort();
    await settle();
    for (const name of ["a", "b"]) expect(said.get(name)).toMatchObject({ code: "not-ready" });
  });

  test("does not come of a clock that is set back", async () => {
    let answers = 0;
    const { clock, put, taken } = scene(() => ((answers += 1) <= 2 ? limited(5_000) : DONE));
    put("a");
    await settle();
    clock.jumpTo(clock.now() - 3_600_000);
    put("b");
    await clock.advance(10_000);
    expect(taken).toEqual(["a", "b"]);
  });
});

/** Whoever was told to wait before another came is taken before that one; nothing is taken twice or lost. */
test("in whatever way the homeserver limits, none overtakes one who waits", async () => {
  const steps = fc.array(
    fc.record({
      pause: fc.integer({ min: 0, max: 400 }),
      limits: fc.array(fc.integer({ min: 100, max: 700 }), { maxLength: 3 }),
      takes: fc.integer({ min: 0, max: 150 }),
      room: fc.constantFrom(ROOM, OTHER_ROOM),
    }),
    { maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (writes) => {
      const clock = new ManualClock();
      const lanes = new WriteLanes(clock, new AbortController().signal);
      let moments = 0;
      const moment = (): number => (moments += 1);
      const [came, limitedAt, taken] = [
        new Map<number, number>(),
        new Map<number, number>(),
        new Map<number, number>(),
      ];
      const answered: Promise<WholeAnswer>[] = [];
      for (const [n, { pause, limits, takes, room }] of writes.entries()) {
        const left = [...limits];
        came.set(n, moment());
        answered.push(
          lanes.put(TELEGRAM, room, async () => {
            if (takes > 0) await clock.sleep(takes);
            const ms = left.shift();
            if (ms === undefined) {
              expect(taken.has(n)).toBe(false);
              taken.set(n, moment());
              return DONE;
            }
            if (!limitedAt.has(n)) limitedAt.set(n, moment());
            return limited(ms);
          }),
        );
        await clock.advance(pause);
      }
      await clock.advance(LANE_WAIT_MS);
      expect(await Promise.all(answered)).toEqual(writes.map(() => DONE));
      for (const [earlier, told] of limitedAt) {
        for (const [later, arrived] of came) {
          if (writes[earlier]?.room !== writes[later]?.room || arrived < told || later <= earlier) continue;
          expect(taken.get(later)).toBeGreaterThan(taken.get(earlier) ?? Infinity);
        }
      }
    }),
    { numRuns: 150 },
  );
});
