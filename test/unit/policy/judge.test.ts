import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RoomAlias, RoomId } from "../../../src/model/ids.ts";
import { HOLDER_KINDS, type HolderKind } from "../../../src/model/lease.ts";
import { MEMBERSHIPS } from "../../../src/model/membership.ts";
import type { VerdictCode } from "../../../src/model/verdict.ts";
import type { Shortage } from "../../../src/policy/budgets.ts";
import { COOL_DOWN_CODES, type CoolDown, type CoolDownCode } from "../../../src/policy/cool-down.ts";
import { findings, judge } from "../../../src/policy/judge.ts";
import type { Question, RoomSummary } from "../../../src/policy/question.ts";
import { CHECKS } from "../../../src/policy/checks.ts";
import { BUDGET_KINDS, type BudgetKind } from "../../../src/policy/budget-subjects.ts";
import { ROOM_VERSION } from "../../../src/auth/version.ts";
import { ENTITY_KINDS, type EntityKind, type PolicyRule, type RuleMatch } from "../../../src/policy/rule.ts";

const OPEN: RoomSummary = {
  joinRule: "public",
  worldReadable: false,
  joinedMembers: 10,
  version: "11",
  encryption: null,
};
const CLOSED: RoomSummary = { ...OPEN, joinRule: "invite" };

const PEEKABLE: RoomSummary = { ...OPEN, joinRule: "peekable", version: ROOM_VERSION };
const LIST = "!list" as RoomId;

function says(verdict: PolicyRule["verdict"], kind: EntityKind, source: PolicyRule["source"] = "operator"): RuleMatch {
  const text = `the ${kind}`;
  return { entity: { kind, text }, rule: { kind, verdict, entity: text, hashed: false, reason: null, source } };
}

function coolDown(code: CoolDownCode): CoolDown {
  return { code, reason: "it did", until: 5_000, strikes: 1 };
}

function shortageOf(kind: BudgetKind): Shortage<BudgetKind> {
  return { subject: { kind, name: "x" }, budget: { joins: 1, per: 60_000 }, retryAfter: 60_000 };
}

const anyQuestion: fc.Arbitrary<Question> = fc.record({
  stage: fc.constantFrom("take", "join", "hold"),
  kind: fc.constantFrom(...HOLDER_KINDS),
  reach: fc.constantFrom(null, "none", "any", "named"),
  moved: fc.constant(null),
  ownMembership: fc.constantFrom(null, ...MEMBERSHIPS),
  look: fc.option(
    fc.record({
      joinRule: fc.constantFrom(null, "public", "invite", "knock", "restricted"),
      worldReadable: fc.boolean(),
      joinedMembers: fc.constantFrom(null, 1, 100, 101),
      version: fc.constantFrom(null, "1", "12"),
      encryption: fc.constant(null),
    }),
  ),
  vouched: fc.boolean(),
  matches: fc
    .array(
      fc.record({
        verdict: fc.constantFrom("allow", "deny"),
        kind: fc.constantFrom(...ENTITY_KINDS),
        isListed: fc.boolean(),
      }),
      { maxLength: 3 },
    )
    .map((all) => all.map(({ verdict, kind, isListed }) => says(verdict, kind, isListed ? LIST : "config"))),
  notExcepted: fc.constant([]),
  deniedRoutes: fc.constantFrom([], [says("deny", "server")], [says("deny", "server", LIST)]),
  aclDenies: fc.constantFrom(null, true, false),
  coolDown: fc.option(fc.constantFrom(...COOL_DOWN_CODES).map(coolDown)),
  upgrades: fc.constantFrom(0, 1, 11),
  roomsAttended: fc.constantFrom(0, 5),
  joinsUnderWay: fc.constantFrom(0, 7),
  held: fc.constantFrom({ rooms: 0, underWay: 0 }, { rooms: 5, underWay: 7 }),
  shortage: fc.option(fc.constantFrom(...BUDGET_KINDS).map(shortageOf)),
  now: fc.constant(0),
  limits: fc.constant({ maxRooms: 5, maxMembers: 100, maxJoinsUnderWay: 7, refuseVersions: ["1"] }),
});

function question(more: Partial<Question> = {}): Question {
  return {
    stage: "take",
    kind: "tenant",
    reach: null,
    moved: null,
    ownMembership: null,
    look: OPEN,
    vouched: false,
    matches: [],
    notExcepted: [],
    deniedRoutes: [],
    aclDenies: null,
    coolDown: null,
    upgrades: 0,
    roomsAttended: 2,
    joinsUnderWay: 0,
    held: { rooms: 0, underWay: 0 },
    shortage: null,
    now: 0,
    limits: { maxRooms: 5, maxMembers: 100, maxJoinsUnderWay: 7, refuseVersions: ["1"] },
    ...more,
  };
}

describe("may the pseudouser be in the room?", () => {
  test.each<[string, Partial<Question>, VerdictCode]>([
    ["a public room", {}, "allowed"],
    ["a public room whose size nobody tells", { look: { ...OPEN, joinedMembers: null } }, "allowed"],
    ["an encrypted public room", { look: { ...OPEN, encryption: "m.megolm.v1.aes-sha2" } }, "allowed"],

    ["one below the cap on rooms", { roomsAttended: 4 }, "allowed"],
    ["at the cap on rooms", { roomsAttended: 5 }, "room-cap"],
    ["at half the cap on rooms, for an invited user", { roomsAttended: 3, kind: "invite" }, "room-cap"],
    ["at the cap, in a room that we are in", { roomsAttended: 5, ownMembership: "join" }, "allowed"],
    ["at the cap, in a room that we were in", { roomsAttended: 5, ownMembership: "leave" }, "room-cap"],
    ["at the cap, for the operator", { roomsAttended: 5, kind: "operator" }, "room-cap"],
    ["one below a tenant's half of the cap", { held: { rooms: 2, underWay: 0 } }, "allowed"],
    ["at a tenant's half of the cap", { held: { rooms: 3, underWay: 0 } }, "room-share"],
    ["at its half, in a room that we are in", { held: { rooms: 3, underWay: 0 }, ownMembership: "join" }, "allowed"],
    ["at its half, staying", { held: { rooms: 3, underWay: 0 }, stage: "hold" }, "allowed"],
    [
      "at its half, in a room that the operator allows",
      { held: { rooms: 3, underWay: 0 }, matches: [says("allow", "room")] },
      "allowed",
    ],

    ["a room that cannot be seen", { look: null }, "not-visible"],
    ["a room that cannot be seen, for the operator", { look: null, kind: "operator" }, "allowed"],

    ["a room as large as may be", { look: { ...OPEN, joinedMembers: 100 } }, "allowed"],
    ["a room that is larger", { look: { ...OPEN, joinedMembers: 101 } }, "member-cap"],
    [
      "a room that grew while we are in it",
      { look: { ...OPEN, joinedMembers: 101 }, ownMembership: "join" },
      "allowed",
    ],
    ["a room that is larger, for the operator", { look: { ...OPEN, joinedMembers: 101 }, kind: "operator" }, "allowed"],

    ["a room by invitation", { look: { ...OPEN, joinRule: "invite" } }, "join-rule"],
    ["a room by invitation, with one", { look: { ...OPEN, joinRule: "invite" }, ownMembership: "invite" }, "join-rule"],
    ["a room by invitation, for the operator", { look: { ...OPEN, joinRule: "invite" }, kind: "operator" }, "allowed"],
    [
      "a room that closed while we are in it",
      { look: { ...OPEN, joinRule: "invite" }, ownMembership: "join" },
      "join-rule",
    ],
    ["a room for knocking", { look: { ...OPEN, joinRule: "knock" } }, "join-rule"],
    ["a room by invitation, covered by a grant for all rooms", { look: CLOSED, reach: "any" }, "join-rule"],
    ["a room by invitation, named by a grant", { look: CLOSED, reach: "named" }, "allowed"],
    [
      "a room by invitation, for an invited user",
      { look: CLOSED, kind: "invite", reach: null, vouched: true },
      "join-rule",
    ],
    [
      "a room by invitation, for an invited user, and we are invited, too",
      { look: CLOSED, kind: "invite", reach: null, ownMembership: "invite" },
      "allowed",
    ],
    ["a room that cannot be seen, named by a grant", { look: null, reach: "named" }, "allowed"],
    ["a room that cannot be seen, covered by a grant for all rooms", { look: null, reach: "any" }, "not-visible"],
    ["a public room that no grant covers", { reach: "none" }, "not-allowed"],
    ["a public room covered by a grant for all rooms", { reach: "any" }, "allowed"],
    [
      "a room named by a grant that is too large",
      { reach: "named", look: { ...OPEN, joinedMembers: 101 } },
      "member-cap",
    ],
    ["a room named by a grant, at the cap", { reach: "named", roomsAttended: 5 }, "room-cap"],
    ["a restricted room", { look: { ...OPEN, joinRule: "restricted" } }, "join-rule"],
    ["a room without a join rule", { look: { ...OPEN, joinRule: null } }, "join-rule"],
  ])("%s", (_what, more, code) => {
    expect(judge(question(more))).toMatchObject({ code, allowed: code === "allowed" });
  });

  test.each<[string, Partial<Question>, VerdictCode]>([
    ["a room that is denied", { matches: [says("deny", "room")] }, "denied"],
    ["a room that is denied, for the operator", { matches: [says("deny", "room")], kind: "operator" }, "allowed"],
    ["a room that is allowed", { matches: [says("allow", "room")] }, "allowed"],
    ["an allowed room of a denied server", { matches: [says("allow", "room"), says("deny", "server")] }, "allowed"],
    [
      "a room of an allowed server and a denied user",
      { matches: [says("allow", "server"), says("deny", "user")] },
      "denied",
    ],
    ["a tenant that is denied", { matches: [says("deny", "tenant")] }, "denied"],
    ["a room that a policy list bans", { matches: [says("deny", "room", LIST)] }, "listed"],
    [
      "an allowed room of a server that a list bans",
      { matches: [says("allow", "room"), says("deny", "server", LIST)] },
      "allowed",
    ],
    ["a room whose access list keeps us out", { aclDenies: true }, "server-acl"],
    ["a room whose access list keeps us out, for the operator", { aclDenies: true, kind: "operator" }, "server-acl"],
    ["a room whose access list lets us in", { aclDenies: false }, "allowed"],
    ["a room of a version that is refused", { look: { ...OPEN, version: "1" } }, "room-version"],
    [
      "an allowed room of a version that is refused",
      { look: { ...OPEN, version: "1" }, matches: [says("allow", "room")] },
      "allowed",
    ],
    ["a room that flooded us", { coolDown: coolDown("flooded") }, "flooded"],
    ["a room that was too complex", { coolDown: coolDown("too-complex") }, "too-complex"],
    ["a room that put us out", { coolDown: coolDown("put-out") }, "put-out"],
    ["a room that put us out, for the operator", { coolDown: coolDown("put-out"), kind: "operator" }, "allowed"],
    ["an allowed room that flooded us", { coolDown: coolDown("flooded"), matches: [says("allow", "room")] }, "allowed"],
    ["an upgrade of an upgrade, ten times", { upgrades: 10 }, "allowed"],
    ["and once more", { upgrades: 11 }, "upgrade-chain"],
    ["as many joins under way as may be", { joinsUnderWay: 7 }, "busy"],
    ["half as many joins under way, for an alias", { joinsUnderWay: 4, kind: "alias" }, "busy"],
    ["half as many joins under way, for a tenant", { joinsUnderWay: 4 }, "allowed"],
    [
      "fewer of a tenant's own than are left for others",
      { joinsUnderWay: 3, held: { rooms: 0, underWay: 3 } },
      "allowed",
    ],
    [
      "as many of a tenant's own as are left for others",
      { joinsUnderWay: 4, held: { rooms: 0, underWay: 3 } },
      "busy-share",
    ],
    ["as many joins under way as may be, this one among them", { joinsUnderWay: 7, stage: "join" }, "allowed"],
    [
      "as many joins under way as may be, in a room that we are in",
      { joinsUnderWay: 7, ownMembership: "join" },
      "allowed",
    ],
    [
      "an allowed room that is too large",
      { look: { ...OPEN, joinedMembers: 101 }, matches: [says("allow", "room")] },
      "allowed",
    ],
    ["an allowed room by invitation", { look: CLOSED, matches: [says("allow", "room")] }, "join-rule"],
    ["a user without budget", { shortage: shortageOf("user") }, "budget-user"],
    ["a server without budget", { shortage: shortageOf("server") }, "budget-server"],
  ])("%s", (_what, more, code) => {
    expect(judge(question(more))).toMatchObject({ code, allowed: code === "allowed" });
  });

  test.each<[HolderKind, VerdictCode]>([
    ["tenant", "allowed"],
    ["alias", "allowed"],
    ["invite", "allowed"],
    ["peek", "join-rule"],
    ["watch", "join-rule"],
    ["index", "join-rule"],
  ])("whoever acts stays in a room that closes, and readers go: %s", (kind, code) => {
    const look = { ...CLOSED, worldReadable: true };
    expect(judge(question({ kind, look, stage: "hold", ownMembership: "join" })).code).toBe(code);
  });

  test.each<[HolderKind, VerdictCode]>([
    ["alias", "allowed"],
    ["tenant", "join-rule"],
    ["peek", "join-rule"],
  ])("of those who want a closed room where the pseudouser is already, an alias alone has it: %s", (kind, code) => {
    const look = { ...CLOSED, worldReadable: true };
    expect(judge(question({ kind, look, stage: "take", ownMembership: "join" })).code).toBe(code);
  });

  test.each<[string, Partial<Question>, VerdictCode]>([
    ["a peekable room", { look: PEEKABLE }, "allowed"],
    ["a peekable room, for a peek", { look: PEEKABLE, kind: "peek" }, "allowed"],
    ["a public room in which nobody vouches", { look: { ...PEEKABLE, joinRule: "public" } }, "join-rule"],
    [
      "a public room in which somebody vouches",
      { look: { ...PEEKABLE, joinRule: "public" }, vouched: true },
      "allowed",
    ],
    [
      "a room by invitation in which somebody vouches",
      { look: { ...PEEKABLE, joinRule: "invite" }, vouched: true },
      "allowed",
    ],
    [
      "a public room, for a tenant that is there already",
      { look: { ...PEEKABLE, joinRule: "public" }, stage: "hold", ownMembership: "join" },
      "join-rule",
    ],
    [
      "an invited user's, where the homeserver tells nothing and the invite did",
      { look: null, kind: "invite", stage: "join" },
      "allowed",
    ],
    ["an invited user's, where nobody tells anything", { look: null, kind: "invite" }, "not-visible"],
    ["a room whose version does not know the rule", { look: { ...PEEKABLE, version: "12" } }, "join-rule"],
    [
      "a peek where the version does not know the rule",
      { look: { ...PEEKABLE, version: "12" }, kind: "peek" },
      "not-peekable",
    ],
  ])("by MSC1777's own rule, in its room version: %s", (_what, more, code) => {
    expect(judge(question(more))).toMatchObject({ code, allowed: code === "allowed" });
  });

  test("what time alone mends is said with the time", () => {
    expect(judge(question({ shortage: shortageOf("user") })).retryAfter).toBe(60_000);
    expect(judge(question({ coolDown: coolDown("flooded"), now: 1_000 })).retryAfter).toBe(4_000);
    expect(judge(question({ look: CLOSED })).retryAfter).toBeNull();
  });

  test("every rule has its say, and of those that refuse the first decides", () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        const said = findings(asked);
        const verdict = judge(asked);
        expect(said).toHaveLength(CHECKS.length);
        expect(said.find((one) => one.verdict === "refuses")?.code ?? "allowed").toBe(verdict.code);
        expect(verdict.allowed).toBe(verdict.code === "allowed");
      }),
    );
  });

  test.each(HOLDER_KINDS)("nobody's word makes a server be asked that is denied: %s", (kind) => {
    const excepted = [says("allow", "room")];
    for (const [source, code] of [
      ["config", "denied"],
      ["operator", "denied"],
      [LIST, "listed"],
    ] as const) {
      const deniedRoutes = [says("deny", "server", source)];
      const refused = judge(
        question({ kind, reach: kind === "tenant" ? "named" : null, matches: excepted, deniedRoutes }),
      );
      expect(refused).toMatchObject({
        allowed: false,
        code,
        reason: expect.stringContaining("rule the server") as string,
      });
    }
  });

  test("a tenant is told that an alias it was granted points elsewhere", () => {
    const moved = { alias: "#a:b" as RoomAlias, roomId: "!then" as RoomId };
    expect(judge(question({ reach: "any", moved }))).toMatchObject({
      code: "not-allowed",
      reason: expect.stringContaining("#a:b pointed to !then when it was granted") as string,
    });
    expect(judge(question({ reach: "none", moved: { ...moved, roomId: null } })).reason).toContain(
      "not known for which",
    );
  });

  test("the operator is refused only what no word of the operator's can change", () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        const { code } = judge({ ...asked, deniedRoutes: [], kind: "operator", reach: null, upgrades: 0 });
        expect(["allowed", "room-cap", "server-acl", "upgrade-chain"]).toContain(code);
      }),
    );
  });

  test("the operator's lease that followed an upgrade has the right of a grant that names the room, and no more", () => {
    fc.assert(
      fc.property(anyQuestion, fc.integer({ min: 1, max: 20 }), (any, upgrades) => {
        // A share of the rooms is what a tenant has, and the operator has none.
        const asked = { ...any, held: { rooms: 0, underWay: 0 } };
        const followed = judge({ ...asked, kind: "operator", reach: null, upgrades });
        const named = judge({ ...asked, kind: "tenant", reach: "named", upgrades });
        expect(followed.code).toBe(named.code);
      }),
    );
  });

  test.each<[string, Partial<Question>, string]>([
    ["a private room", { look: { ...OPEN, joinRule: "invite" } }, "join-rule"],
    ["a room of which nothing can be told", { look: null }, "not-visible"],
    ["a private room that it is invited to", { look: null, ownMembership: "invite" }, "allowed"],
    ["a private room that it is in", { look: { ...OPEN, joinRule: "invite" }, ownMembership: "join" }, "allowed"],
    ["a room for members of others", { look: { ...OPEN, joinRule: "restricted" } }, "allowed"],
  ])("finding out about an upgrade leads into %s: %s", (_what, more, code) => {
    expect(judge(question({ kind: "upgrade", ...more })).code).toBe(code);
  });

  test("a peek is into rooms only whose history anybody may read", () => {
    expect(judge(question({ kind: "peek" })).code).toBe("not-peekable");
    expect(judge(question({ kind: "peek", look: { ...OPEN, worldReadable: true } })).code).toBe("allowed");
  });

  test.each(HOLDER_KINDS.filter((kind) => kind !== "operator"))("%s has no more right than others", (kind) => {
    const look = { ...OPEN, worldReadable: true };
    expect(judge(question({ kind, look })).code).toBe("allowed");
    expect(judge(question({ kind, look: { ...look, joinRule: "invite" } })).code).toBe("join-rule");
  });

  test("of several objections the first rule's is told", () => {
    const closed = { ...OPEN, joinRule: "invite", joinedMembers: 101 };
    expect(judge(question({ roomsAttended: 5, look: closed })).code).toBe("room-cap");
    expect(judge(question({ look: closed })).code).toBe("member-cap");
  });

  test("a refusal names the numbers and the key to turn", () => {
    expect(judge(question({ roomsAttended: 5 })).reason).toMatch(/5 rooms.*policy\.max_rooms/);
    expect(judge(question({ look: { ...OPEN, joinedMembers: 101 } })).reason).toMatch(/101.*100.*policy\.max_members/);
    expect(judge(question({ look: { ...OPEN, joinRule: "knock" } })).reason).toContain("knock");
  });

  test("the verdict carries all that it was reached by", () => {
    expect(judge(question()).inputs).toEqual({
      holder: "tenant",
      rules: [],
      word: null,
      policy_lists: [],
      acl_denies_us: null,
      refuse_versions: ["1"],
      room_version: "11",
      cool_down: null,
      cool_down_until: null,
      strikes: 0,
      upgrades: 0,
      own_membership: null,
      rooms_attended: 2,
      max_rooms: 5,
      rooms_held: 0,
      own_joins_under_way: 0,
      joins_under_way: 0,
      max_joins_under_way: 7,
      visible: true,
      world_readable: false,
      joined_members: 10,
      max_members: 100,
      join_rule: "public",
      vouched: false,
      budget_used_up: null,
    });
    expect(judge(question({ look: null })).inputs).toMatchObject({ join_rule: null, world_readable: null });
  });
});
