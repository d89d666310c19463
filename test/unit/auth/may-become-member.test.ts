import { describe, expect, it, test } from "vitest";
import { mayBecomeMember, ROOM_VERSION, VOUCHED_FOR_BY, type AuthQuestion } from "../../../src/auth/auth.ts";

const CREATOR = "@creator:home.example";
const create = (content: object = {}) => ({ sender: CREATOR, content: { room_version: ROOM_VERSION, ...content } });
const state = (type: string, stateKey: string, content: unknown) => ({
  type,
  state_key: stateKey,
  sender: CREATOR,
  content,
});
const member = (userId: string, membership: string) => state("m.room.member", userId, { membership });
const peekable = state("m.room.join_rules", "", { join_rule: "peekable" });
const join = {
  type: "m.room.member",
  state_key: "@:a.example",
  sender: "@:a.example",
  content: { membership: "join" },
};
const question: AuthQuestion = { create: create(), state: [peekable], event: join };

const ruleOf = (changed: Partial<AuthQuestion>): string => {
  const { allowed, rule } = mayBecomeMember({ ...question, ...changed });
  return `${allowed ? "allow" : "reject"} ${rule}`;
};

describe("JSON that is no event or no state", () => {
  it("starts from a join that is allowed", () => expect(ruleOf({})).toBe("allow 5.3.3a.2"));

  test.each<[string, unknown, string]>([
    ["is absent", undefined, "reject 2"],
    ["is a list", [], "reject 2"],
    ["has no sender", { content: {} }, "reject 2"],
    ["is by nobody", { ...create(), sender: "creator" }, "reject 2"],
    ["has no content", { sender: CREATOR, content: null }, "reject 2"],
    ["names no version", { sender: CREATOR, content: {} }, "reject 1.3"],
    ["is of version 11", create({ room_version: "11" }), "reject 1.3"],
    ["is of a version that is no string", create({ room_version: [ROOM_VERSION] }), "reject 1.3"],
    ["has additional creators that are no list", create({ additional_creators: CREATOR }), "reject 1.4"],
    ["has additional creators that are no users", create({ additional_creators: [CREATOR, "x"] }), "reject 1.4"],
  ])("a create event that %s", (_, created, expected) => expect(ruleOf({ create: created })).toBe(expected));

  test.each<[string, unknown[], string]>([
    ["that is no object", [peekable, null], "reject 3"],
    ["without a state key", [peekable, { type: "m.room.member", sender: CREATOR, content: {} }], "reject 3"],
    ["whose content is a text", [peekable, state("m.room.member", "@:a.example", "ban")], "reject 3"],
    ["that is there twice", [peekable, peekable], "reject 3"],
    ["with power levels of text", [peekable, state("m.room.power_levels", "", { ban: "50" })], "reject 10"],
    ["with a power that is no integer", [peekable, state("m.room.power_levels", "", { invite: 0.5 })], "reject 10"],
    ["with a list of users", [peekable, state("m.room.power_levels", "", { users: [] })], "reject 10"],
    ["with a user's power of text", [peekable, state("m.room.power_levels", "", { users: { a: "1" } })], "reject 10"],
  ])("state with an event %s", (_, events, expected) => expect(ruleOf({ state: events })).toBe(expected));

  test("state that is no list", () => expect(ruleOf({ state: "state" as unknown as [] })).toBe("reject 3"));

  test.each<[string, unknown, string]>([
    ["that is absent", undefined, "reject 5"],
    ["of another type", { ...join, type: "m.room.message" }, "reject 5"],
    ["without a sender", { ...join, sender: undefined }, "reject 5"],
    ["without a state key", { ...join, state_key: undefined }, "reject 5.1"],
    ["about no user", { ...join, state_key: "a.example" }, "reject 5.1"],
    ["about a localpart", { ...join, state_key: "@alice" }, "reject 5.1"],
    ["without content", { ...join, content: undefined }, "reject 5.1"],
    ["without a membership", { ...join, content: {} }, "reject 5.1"],
    ["with a membership that is no text", { ...join, content: { membership: ["join"] } }, "reject 5.1"],
    [
      "with an inherited membership",
      { ...join, content: Object.create({ membership: "join" }) as object },
      "reject 5.1",
    ],
  ])("an event %s", (_, event, expected) => expect(ruleOf({ event })).toBe(expected));
});

describe("signatures", () => {
  const authorised = (by: unknown) => ({
    ...join,
    content: { membership: "join", join_authorised_via_users_server: by },
  });

  test.each<[string, unknown, boolean | undefined, string]>([
    ["is missing", CREATOR, undefined, "reject 5.2"],
    ["is not valid", CREATOR, false, "reject 5.2"],
    ["is valid", CREATOR, true, "allow 5.3.3a.2"],
    ["is said to be valid, of nobody", 5, true, "reject 5.2"],
    ["is said to be valid, of null", null, true, "reject 5.2"],
  ])("of the authorising server, in any join that names one, which %s", (_, by, isValid, expected) => {
    const signatures = isValid === undefined ? {} : { authorisingServer: isValid };
    expect(ruleOf({ event: authorised(by), signatures })).toBe(expected);
  });

  it("of a third-party invite count only where the caller says so", () => {
    const signed = { mxid: "@:a.example", token: "t", signatures: {} };
    const event = { ...join, sender: CREATOR, content: { membership: "invite", third_party_invite: { signed } } };
    const offered = [state("m.room.third_party_invite", "t", {}), member(CREATOR, "join")];
    expect(ruleOf({ event, state: offered })).toBe("reject 5.4.1.8");
    expect(ruleOf({ event, state: offered, signatures: { thirdPartyInvite: true } })).toBe("allow 5.4.1.7");
    const nameless = { ...event, content: { membership: "invite", third_party_invite: { signed: { token: "t" } } } };
    expect(ruleOf({ event: nameless, state: offered })).toBe("reject 5.4.1.3");
  });
});

describe("a reason", () => {
  const alice = "@alice:a.example";
  test.each<[unknown, string, RegExp]>([
    [undefined, "join", /names nobody/],
    [{ user_id: alice }, "join", /is no user/],
    ["@:a.example", "join", /a pseudouser vouches for nobody/],
    ["@bob:b.example", "join", /of another server/],
    [alice, "knock", /neither in the room nor invited/],
  ])("says what is wrong with the voucher %j, whose user's membership is %s", (voucher, standing, expected) => {
    const content = { membership: "join", ...(voucher === undefined ? {} : { [VOUCHED_FOR_BY]: voucher }) };
    const verdict = mayBecomeMember({ ...question, state: [member(alice, standing)], event: { ...join, content } });
    expect(verdict).toMatchObject({ allowed: false, rule: "5.3.3a.4" });
    expect(verdict.reason).toMatch(expected);
  });

  it("quotes no more than the beginning of a long join rule", () => {
    const rules = state("m.room.join_rules", "", { join_rule: "x".repeat(1_000_000) });
    const event = { ...join, sender: "@alice:a.example", state_key: "@alice:a.example" };
    expect(mayBecomeMember({ ...question, state: [rules], event }).reason.length).toBeLessThan(200);
  });
});
