import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isOverRefused, plan, type Situation } from "../../../src/attendance/plan.ts";
import type { Attendance, Phase } from "../../../src/attendance/attendance.ts";
import { MEMBERSHIPS, type Membership } from "../../../src/model/membership.ts";
import { ROOM } from "../../support/events.ts";

const NOW = 1_000_000;
const LINGER = 60_000;
const PHASES: readonly Phase[] = ["absent", "joining", "present", "leaving", "refused"];
const OUTSIDE: readonly (Membership | null)[] = [null, "invite", "leave", "ban", "knock"];

function attendance(more: Partial<Attendance> = {}): Attendance {
  const rest = { tries: 0, nextAt: NOW, retryAt: null, leaveAt: null, code: null, reason: null };
  return { roomId: ROOM, phase: "absent", since: 0, ...rest, ...more };
}

function situation({
  attendance: changed,
  ...more
}: Partial<Omit<Situation, "attendance">> & { attendance?: Partial<Attendance> }): Situation {
  return {
    now: NOW,
    ownMembership: null,
    liveLeases: 0,
    linger: LINGER,
    draw: 0,
    attendance: attendance(changed),
    ...more,
  };
}

const rest = (phase: Phase, nextAt: number | null = null, leaveAt: number | null = null) => ({
  act: "rest",
  phase,
  nextAt,
  leaveAt,
});

describe("somebody wants us in the room", () => {
  test.each(OUTSIDE.flatMap((own) => PHASES.map((phase) => [own, phase] as const)))(
    "and we are not in (%s, %s): join",
    (ownMembership, phase) => {
      expect(plan(situation({ liveLeases: 1, ownMembership, attendance: { phase } }))).toEqual({ act: "join" });
    },
  );

  test.each(PHASES)("and we are in (%s): stay, until something happens", (phase) => {
    const given = situation({ liveLeases: 2, ownMembership: "join", attendance: { phase, leaveAt: NOW - 1 } });
    expect(plan(given)).toEqual(rest("present"));
  });

  test("and the newest try failed: join when its time has come, not before", () => {
    const failed = (retryAt: number) =>
      situation({ liveLeases: 1, attendance: { phase: "joining", tries: 1, retryAt } });
    expect(plan(failed(NOW + 1))).toEqual(rest("joining", NOW + 1));
    expect(plan(failed(NOW))).toEqual({ act: "join" });
    expect(plan(failed(NOW - 1))).toEqual({ act: "join" });
  });

  test("and we came in although the newest try failed: stay", () => {
    const given = situation({
      liveLeases: 1,
      ownMembership: "join",
      attendance: { phase: "joining", retryAt: NOW + 1 },
    });
    expect(plan(given)).toEqual(rest("present"));
  });
});

describe("nobody wants us in the room", () => {
  test.each(OUTSIDE.flatMap((own) => PHASES.map((phase) => [own, phase] as const)))(
    "and we are not in (%s, %s): rest, until something happens",
    (ownMembership, phase) => {
      const given = situation({ ownMembership, attendance: { phase, ...(phase === "refused" ? { code: "c" } : {}) } });
      expect(plan(given)).toEqual(rest(phase === "refused" ? "refused" : "absent"));
    },
  );

  test.each<[string, Partial<Attendance>, object]>([
    ["since just now: linger", { phase: "present" }, rest("present", NOW + LINGER, NOW + LINGER)],
    ["since a while: until the time that was drawn", { leaveAt: NOW + 1 }, rest("present", NOW + 1, NOW + 1)],
    ["and the time that was drawn has come: leave", { phase: "present", leaveAt: NOW }, { act: "leave" }],
    ["and that was long ago: leave", { phase: "leaving", leaveAt: 0 }, { act: "leave" }],
    [
      "and the clock was set back: linger from now",
      { leaveAt: NOW + 1.5 * LINGER + 1 },
      rest("present", NOW + LINGER, NOW + LINGER),
    ],
    [
      "and a leave failed: leave when its time has come",
      { phase: "leaving", leaveAt: 0, retryAt: NOW + 5 },
      rest("leaving", NOW + 5, 0),
    ],
    ["and its time has come: leave", { phase: "leaving", leaveAt: 0, retryAt: NOW }, { act: "leave" }],
  ])("and we are in, %s", (_what, changed, step) => {
    expect(plan(situation({ ownMembership: "join", attendance: changed }))).toEqual(step);
  });

  test.each([
    [0, LINGER],
    [0.5, 1.25 * LINGER],
    [0.999_99, 1.5 * LINGER - 0.3],
  ])("the linger is drawn (%d): from its length to half as long again", (draw, linger) => {
    const leaveAt = NOW + Math.round(linger);
    expect(plan(situation({ ownMembership: "join", draw }))).toEqual(rest("present", leaveAt, leaveAt));
  });

  test("a linger that was drawn is not drawn again", () => {
    const given = situation({ ownMembership: "join", draw: 0.9, attendance: { leaveAt: NOW + LINGER } });
    expect(plan(given)).toEqual(rest("present", NOW + LINGER, NOW + LINGER));
  });

  test("without a linger we leave at once", () => {
    expect(plan(situation({ ownMembership: "join", linger: 0 }))).toEqual({ act: "leave" });
  });
});

test("whatever the situation: join only where wanted and outside, leave only where unwanted and inside, never rest into the past", () => {
  const time = fc.option(fc.integer({ min: NOW - 200_000, max: NOW + 200_000 }), { nil: null });
  const anAttendance = fc.record({
    phase: fc.constantFrom(...PHASES),
    tries: fc.nat(20),
    retryAt: time,
    leaveAt: time,
    code: fc.constantFrom(null, "M_FORBIDDEN"),
  });
  fc.assert(
    fc.property(
      fc.nat(2),
      fc.constantFrom(null, ...MEMBERSHIPS),
      anAttendance,
      (liveLeases, ownMembership, changed) => {
        const step = plan(situation({ liveLeases, ownMembership, attendance: changed }));
        if (step.act === "join") expect([liveLeases > 0, ownMembership === "join"]).toEqual([true, false]);
        if (step.act === "leave") expect([liveLeases > 0, ownMembership === "join"]).toEqual([false, true]);
        if (step.act === "rest" && step.nextAt !== null) expect(step.nextAt).toBeGreaterThan(NOW);
      },
    ),
    { seed: 5, numRuns: 500 },
  );
});

describe("policy ended the leases of a room while we were in it", () => {
  test.each<[Phase, string | null, number, boolean]>([
    ["refused", "not-peekable", 0, true],
    ["present", "not-peekable", 0, true],
    ["leaving", "denied", 0, true],
    ["present", "not-peekable", 1, false],
    ["leaving", "M_LIMIT_EXCEEDED", 0, false],
    ["present", null, 0, false],
    // A join that was put off because a budget was used up, and that nobody wants any more.
    ["joining", "budget-server", 0, false],
  ])("%s, %s, leases: %d", (phase, code, leases, expected) => {
    expect(isOverRefused(attendance({ phase, code }), leases)).toBe(expected);
  });

  test("once we are out, that is how it stands", () => {
    const left = situation({ ownMembership: "leave", attendance: { phase: "leaving", code: "server-acl" } });
    expect(plan(left)).toEqual(rest("refused"));
  });
});
