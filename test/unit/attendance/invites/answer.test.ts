import { describe, expect, test } from "vitest";
import {
  ANSWER_BUDGETS,
  answerTo,
  DENIED_REASON,
  REASON,
  AWAITED_MS,
  TOGETHER_MS,
  type AnswerBudgetKind,
  UPGRADE_AWAITED_MS,
  type AnswerParts,
} from "../../../../src/attendance/invites/answer.ts";
import type { OwnInvite } from "../../../../src/attendance/store/own-invites.ts";
import { serverOf, type EventId, type RoomId, type UserId } from "../../../../src/model/ids.ts";
import { Budgets } from "../../../../src/policy/budgets.ts";
import { RuleBook } from "../../../../src/policy/rule-book.ts";
import type { PolicyRule, RuleMatch } from "../../../../src/policy/rule.ts";
import { ManualClock, START } from "../../../support/clock.ts";
import { ALICE, ROOM } from "../../../support/events.ts";
import { tenant } from "../../../support/tenants.ts";

const DAY = 24 * 60 * 60_000;
const INVITE: OwnInvite = {
  roomId: ROOM,
  eventId: "$invite" as EventId,
  inviter: ALICE,
  reason: null,
  canonicalAlias: null,
  at: START,
  isHeld: false,
  isOfUpgrade: false,
};
const OF_UPGRADE = { ...INVITE, isOfUpgrade: true };
const FOR_TELEGRAM = { ...INVITE, reason: "for telegram, please" };

function parts(more: Partial<AnswerParts> = {}, clock = new ManualClock()): AnswerParts {
  return {
    setting: "decline",
    takesPart: false,
    tenants: [tenant("telegram")],
    matches: [],
    budgets: new Budgets<AnswerBudgetKind>(ANSWER_BUDGETS, clock),
    ...more,
  };
}

/** What one rule says of INVITE. */
function ruled(verdict: PolicyRule["verdict"], kind: PolicyRule["kind"], entity: string): readonly RuleMatch[] {
  const rules = new RuleBook();
  rules.replace("operator", [{ kind, entity, verdict, hashed: false, reason: null, source: "operator" }]);
  return rules.matches([
    { kind: "room", text: INVITE.roomId },
    { kind: "server", text: serverOf(INVITE.inviter) },
    { kind: "user", text: INVITE.inviter },
  ]);
}
const denying = (kind: PolicyRule["kind"], entity: string): readonly RuleMatch[] => ruled("deny", kind, entity);

const decline = (reason: string) => ({ act: "decline", reason });
const wait = (at: number) => ({ act: "wait", at });
const LEAVE = { act: "leave" };

describe("an invite of the pseudouser", () => {
  test.each<[string, OwnInvite, Partial<AnswerParts>, number, unknown]>([
    ["for nobody is declined at once", INVITE, {}, 0, decline(REASON)],
    ["for nobody, where the homeserver should have refused it, too", INVITE, { setting: "block" }, 0, decline(REASON)],
    ["for nobody is left alone, where the operator wants that", INVITE, { setting: "keep" }, 0, LEAVE],
    ["for a tenant waits for it", FOR_TELEGRAM, {}, 0, wait(START + AWAITED_MS)],
    ["for a tenant that did not come is declined", FOR_TELEGRAM, {}, 7 * DAY, decline(REASON)],
    ["for a tenant that did not come is left alone likewise", FOR_TELEGRAM, { setting: "keep" }, 7 * DAY, LEAVE],
    [
      "into a room that the operator allows waits for the operator",
      INVITE,
      { matches: ruled("allow", "room", ROOM) },
      0,
      wait(START + AWAITED_MS),
    ],
    ["in a room where somebody has a lease is the keeper's", { ...INVITE, isHeld: true }, {}, 0, wait(START + 600_000)],
    ["may be one of several into a room", INVITE, { takesPart: true }, 0, wait(START + TOGETHER_MS)],
    ["that was the only one is declined a little later", INVITE, { takesPart: true }, TOGETHER_MS, decline(REASON)],
    ["that comes with an upgrade waits for the look into it", OF_UPGRADE, {}, 0, wait(START + UPGRADE_AWAITED_MS)],
    ["that no upgrade explained is declined a day later", OF_UPGRADE, {}, DAY, decline(REASON)],
    [
      "that comes with an upgrade, by a denied server",
      OF_UPGRADE,
      { matches: denying("server", "remote.*") },
      0,
      decline(DENIED_REASON),
    ],
    ["by a denied server", INVITE, { matches: denying("server", "remote.*") }, 0, decline(DENIED_REASON)],
    ["by a denied user", INVITE, { matches: denying("user", ALICE) }, 0, decline(DENIED_REASON)],
    ["into a denied room", INVITE, { matches: denying("room", ROOM) }, 0, decline(DENIED_REASON)],
    [
      "by a denied server for a tenant",
      FOR_TELEGRAM,
      { matches: denying("server", "remote.*") },
      0,
      decline(DENIED_REASON),
    ],
    [
      "by a denied server, where all are left alone",
      INVITE,
      { matches: denying("server", "*"), setting: "keep" },
      0,
      LEAVE,
    ],
    [
      "for a tenant, from before the clock was set back",
      { ...FOR_TELEGRAM, at: START + DAY },
      {},
      0,
      wait(START + AWAITED_MS),
    ],
  ])("%s", (_what, invite, more, after, answer) => {
    expect(answerTo(invite, START + after, parts(more))).toEqual(answer);
  });

  test("is declined twenty times an hour for one server, and then left unanswered; another server's are not touched by that", () => {
    const clock = new ManualClock();
    const known = parts({}, clock);
    const invites = Array.from({ length: 30 }, (_, n) => ({ ...INVITE, roomId: `!${n}` as RoomId }));
    const answers = invites.map((invite) => answerTo(invite, clock.now(), known).act);
    expect(answers).toEqual([...Array<string>(20).fill("decline"), ...Array<string>(10).fill("leave")]);
    const elsewhere = { ...INVITE, inviter: "@eve:another.example" as UserId };
    expect(answerTo(elsewhere, clock.now(), known).act).toBe("decline");
  });

  test("is declined two hundred times an hour, however many servers invite", () => {
    const known = parts();
    const answers = Array.from({ length: 1_000 }, (_, n) =>
      answerTo({ ...INVITE, inviter: `@eve:server-${n}.example` as UserId }, START, known),
    );
    expect(answers.filter(({ act }) => act === "decline")).toHaveLength(200);
  });

  test("for a tenant is waited with a hundred times an hour for one server: whoever names a tenant has no more room for it", () => {
    const known = parts();
    const answers = Array.from({ length: 300 }, () => answerTo(FOR_TELEGRAM, START, known));
    expect(answers.filter(({ act }) => act === "wait")).toHaveLength(100);
    expect(answers.filter(({ act }) => act === "leave")).toHaveLength(200);
  });
});
