import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  authTypesFor,
  isPseudouserId,
  mayBecomeMember,
  readableByNonMembers,
  redactedContent,
  ROOM_VERSION,
  serverNameOf,
  VOUCHED_FOR_BY,
  type AuthQuestion,
} from "../../../src/auth/auth.ts";

const CREATOR = "@creator:home.example";
const SERVERS = ["a.example", "b.example", "a.example:8448", "[::1]", "A.example"];
const PEOPLE = ["@alice:a.example", "@bob:b.example", "@p:a.example:8448", "@six:[::1]", "@alice:A.example", CREATOR];
const PSEUDOUSERS = SERVERS.map((server) => `@:${server}`);

const anything = fc.jsonValue({ maxDepth: 3 });
/** Mostly what is expected there, at times anything else. */
const mostly = <T>(expected: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 9, arbitrary: expected }, { weight: 1, arbitrary: anything });

const user = fc.constantFrom(...PEOPLE, ...PSEUDOUSERS);
const membership = fc.constantFrom("join", "invite", "leave", "ban", "knock");
const joinRule = fc.constantFrom("peekable", "public", "invite", "knock", "restricted", "knock_restricted", "other");
const level = fc.constantFrom(-1, 0, 10, 50, 100);
const content = fc.record(
  {
    membership: mostly(membership),
    [VOUCHED_FOR_BY]: mostly(user),
    join_authorised_via_users_server: mostly(user),
    third_party_invite: mostly(fc.record({ signed: fc.record({ mxid: user, token: fc.constant("t") }) })),
    ["__proto__"]: anything,
    displayname: fc.string(),
  },
  { requiredKeys: ["membership"] },
);
const rules = fc.record({ join_rule: mostly(joinRule) }, { requiredKeys: [] });
const levels = fc.record(
  { users: fc.dictionary(user, level), users_default: level, invite: level, kick: level, ban: level },
  { requiredKeys: [] },
);

const state = fc
  .tuple(fc.dictionary(user, content, { maxKeys: 6 }), fc.option(rules), fc.option(levels), fc.boolean())
  .map(([members, joinRules, powerLevels, isOffered]) => {
    const event = (type: string, stateKey: string, body: unknown): unknown => ({
      type,
      state_key: stateKey,
      sender: CREATOR,
      content: body,
    });
    return [
      ...Object.entries(members).map(([userId, body]) => event("m.room.member", userId, body)),
      ...(joinRules === null ? [] : [event("m.room.join_rules", "", joinRules)]),
      ...(powerLevels === null ? [] : [event("m.room.power_levels", "", powerLevels)]),
      ...(isOffered ? [event("m.room.third_party_invite", "t", {})] : []),
    ];
  });
const create = fc
  .constantFrom(ROOM_VERSION, ROOM_VERSION, ROOM_VERSION, "12")
  .map((room_version) => ({ sender: CREATOR, content: { room_version } }));
const signatures = fc.record({ authorisingServer: fc.boolean(), thirdPartyInvite: fc.boolean() });

const questionFor = (who: fc.Arbitrary<string>): fc.Arbitrary<AuthQuestion & { event: Event }> =>
  fc
    .tuple(create, state, who, fc.option(user), content, fc.boolean(), signatures)
    .map(([created, events, target, other, body, isFirst, signed]) => ({
      create: created,
      state: events,
      event: { type: "m.room.member", state_key: target, sender: other ?? target, content: body },
      isFirst,
      signatures: signed,
    }));
interface Event {
  readonly type: string;
  readonly state_key: string;
  readonly sender: string;
  readonly content: Record<string, unknown>;
}

const membershipIn = (events: readonly unknown[], userId: unknown): unknown =>
  (events as Event[]).find(({ type, state_key }) => type === "m.room.member" && state_key === userId)?.content[
    "membership"
  ];
const isIn = (events: readonly unknown[], userId: unknown): boolean =>
  ["join", "invite"].includes(membershipIn(events, userId) as string);

/** With another join rule. */
const withRule = (events: readonly unknown[], join_rule: string): unknown[] => [
  ...(events as Event[]).filter(({ type }) => type !== "m.room.join_rules"),
  { type: "m.room.join_rules", state_key: "", sender: CREATOR, content: { join_rule } },
];

describe("any JSON", () => {
  it("is judged, and never throws", () => {
    const any = fc.record({ create: mostly(create), state: mostly(state), event: anything });
    const asked = fc.oneof(any, questionFor(user), fc.record({ create: anything, state: anything, event: anything }));
    fc.assert(
      fc.property(asked, anything, fc.string(), (question, version, type) => {
        const { allowed, rule, reason } = mayBecomeMember(question as AuthQuestion);
        expect([typeof allowed, typeof rule, typeof reason]).toEqual(["boolean", "string", "string"]);
        expect(Array.isArray(authTypesFor(question.event, version))).toBe(true);
        expect(typeof readableByNonMembers(question.state as unknown[], version)).toBe("boolean");
        expect(typeof redactedContent(type, question.event, version)).toBe("object");
      }),
    );
  });
});

describe("a pseudouser's join", () => {
  it("is allowed by nothing but its own membership, the join rule peekable, or a voucher of its server", () => {
    fc.assert(
      fc.property(questionFor(fc.constantFrom(...PSEUDOUSERS)), (asked) => {
        const { event } = asked;
        const question = { ...asked, create: { sender: CREATOR, content: { room_version: ROOM_VERSION } } };
        if (event.content["membership"] !== "join" || !mayBecomeMember(question).allowed) return;
        const joinRules = (question.state as Event[]).find(({ type }) => type === "m.room.join_rules");
        const voucher = event.content[VOUCHED_FOR_BY];
        const isVouchedFor =
          typeof voucher === "string" &&
          !isPseudouserId(voucher) &&
          serverNameOf(voucher) === serverNameOf(event.state_key) &&
          isIn(question.state, voucher);
        expect(event.sender).toBe(event.state_key);
        expect(membershipIn(question.state, event.state_key)).not.toBe("ban");
        expect(
          isIn(question.state, event.state_key) || joinRules?.content["join_rule"] === "peekable" || isVouchedFor,
        ).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("needs no other state than what authTypesFor selects", () => {
    fc.assert(
      fc.property(questionFor(user), (question) => {
        const version = (question.create as typeof question & { content: { room_version: string } }).content
          .room_version;
        const selected = new Set(authTypesFor(question.event, version).map((place) => JSON.stringify(place)));
        const narrowed = (question.state as Event[]).filter(({ type, state_key }) =>
          selected.has(JSON.stringify([type, state_key])),
        );
        expect(mayBecomeMember({ ...question, state: narrowed })).toEqual(mayBecomeMember(question));
      }),
      { numRuns: 500 },
    );
  });
});

describe("for everybody else", () => {
  it("peekable is as public", () => {
    fc.assert(
      fc.property(questionFor(fc.constantFrom(...PEOPLE)), (asked) => {
        const question = { ...asked, create: { sender: CREATOR, content: { room_version: ROOM_VERSION } } };
        const [peekable, open] = ["peekable", "public"].map((rule) =>
          mayBecomeMember({ ...question, state: withRule(question.state, rule) }),
        );
        expect([peekable?.allowed, peekable?.rule]).toEqual([open?.allowed, open?.rule]);
      }),
    );
  });

  it("all but peekable is as in version 12", () => {
    fc.assert(
      fc.property(questionFor(fc.constantFrom(...PEOPLE)), joinRule, (question, rule) => {
        if (rule === "peekable") return;
        const [ours, twelve] = [ROOM_VERSION, "12"].map((room_version) =>
          mayBecomeMember({
            ...question,
            create: { sender: CREATOR, content: { room_version } },
            state: withRule(question.state, rule),
          }),
        );
        expect(ours).toEqual(twelve);
      }),
    );
  });
});

describe("redaction", () => {
  const version = fc.constantFrom(ROOM_VERSION, "12");

  it("changes nothing the second time", () => {
    fc.assert(
      fc.property(content, version, fc.constantFrom("m.room.member", "m.room.join_rules", "x"), (body, of, type) => {
        const once = redactedContent(type, body, of);
        expect(redactedContent(type, once, of)).toEqual(once);
      }),
    );
  });

  it("of the event and of all that it is judged by leaves the verdict as it was", () => {
    fc.assert(
      fc.property(questionFor(user), (question) => {
        // What is no object goes whole; rule 5.4.1.2 has refused such an invite before anybody could redact it.
        const invite = question.event.content["third_party_invite"];
        if (invite !== undefined && (typeof invite !== "object" || invite === null || Array.isArray(invite))) return;
        const of = (question.create as { content: { room_version: string } }).content.room_version;
        const redacted = (event: Event): Event => ({
          ...event,
          content: redactedContent(event.type, event.content, of),
        });
        const after = {
          ...question,
          event: redacted(question.event),
          state: (question.state as Event[]).map(redacted),
        };
        expect(mayBecomeMember(after)).toEqual(mayBecomeMember(question));
      }),
      { numRuns: 500 },
    );
  });
});
