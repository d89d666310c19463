import { describe, expect, test } from "vitest";
import { mayPseudouserJoin, ROOM_VERSION, type JoinSituation } from "../../../src/auth/auth.ts";

const situation: JoinSituation = {
  roomVersion: ROOM_VERSION,
  joinRule: "peekable",
  worldReadable: false,
  ownMembership: null,
  isVouchedFor: false,
};

type Row = readonly [what: Partial<JoinSituation>, expected: string];

const check = (rows: readonly Row[]) => {
  test.each(rows)("%j: %s", (what, expected) => {
    const { allowed, code, reason } = mayPseudouserJoin({ ...situation, ...what });
    expect(`${allowed ? "yes" : "no"}, ${code}`).toBe(expected);
    expect(reason).not.toBe("");
  });
};

describe("in the room version that has the join rule", () => {
  check([
    [{}, "yes, peekable"],
    [{ worldReadable: true }, "yes, peekable"],
    [{ joinRule: "public" }, "no, not-peekable"],
    [{ joinRule: "public", worldReadable: true }, "no, not-peekable"],
    [{ joinRule: "public", isVouchedFor: true }, "yes, vouched"],
    [{ joinRule: "invite", isVouchedFor: true }, "yes, vouched"],
    [{ joinRule: "private", isVouchedFor: true }, "yes, vouched"],
    [{ joinRule: null, isVouchedFor: true }, "yes, vouched"],
    [{ joinRule: null }, "no, not-peekable"],
    [{ joinRule: "restricted" }, "no, not-peekable"],
  ]);
});

describe.each(["12", "10", null])("in today's versions, such as %s", (roomVersion) => {
  check(
    (
      [
        [{ joinRule: "public", worldReadable: true }, "yes, counts-as-peekable"],
        [{ joinRule: "public" }, "no, not-peekable"],
        [{ joinRule: "public", isVouchedFor: true }, "yes, vouched"],
        [{ joinRule: "invite", worldReadable: true }, "no, not-peekable"],
        [{ joinRule: "invite", isVouchedFor: true }, "no, closed"],
        [{ joinRule: "knock", isVouchedFor: true }, "no, closed"],
        [{ joinRule: "restricted", isVouchedFor: true }, "yes, vouched"],
        [{ joinRule: "knock_restricted", isVouchedFor: true }, "yes, vouched"],
        [{ joinRule: "peekable" }, "no, not-peekable"],
        [{ joinRule: "peekable", worldReadable: true }, "no, not-peekable"],
        [{ joinRule: "peekable", isVouchedFor: true }, "no, closed"],
        [{ joinRule: "org.example.new", isVouchedFor: true }, "no, closed"],
        [{ joinRule: null, isVouchedFor: true }, "no, closed"],
      ] as const satisfies readonly Row[]
    ).map(([what, expected]): Row => [{ ...what, roomVersion }, expected]),
  );
});

describe.each([ROOM_VERSION, "12"])("the pseudouser's own membership goes first, in version %s", (roomVersion) => {
  check([
    [{ roomVersion, joinRule: "invite", ownMembership: "invite" }, "yes, invited"],
    [{ roomVersion, joinRule: "invite", ownMembership: "join" }, "yes, member"],
    [{ roomVersion, ownMembership: "ban", isVouchedFor: true }, "no, banned"],
    [{ roomVersion, joinRule: "public", worldReadable: true, ownMembership: "ban" }, "no, banned"],
    [{ roomVersion, joinRule: "invite", ownMembership: "leave" }, "no, not-peekable"],
    [{ roomVersion, joinRule: "knock", ownMembership: "knock" }, "no, not-peekable"],
  ]);
});
