import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/model/json.ts";
import { daemon, emissary, refusal } from "./terminal.ts";

const POLICY: JsonObject = {
  rooms_attended: 12,
  max_rooms: 1000,
  joins_under_way: 0,
  max_joins_under_way: 500,
  budgets: [
    { budget: "user", joins: 30, per_ms: 3_600_000, levels: [{ payer: "abcdefghijklmnopqrstuv", left: 2.5 }] },
    { budget: "all", joins: 2000, per_ms: 3_600_000, levels: [] },
  ],
  cool_downs: { flooded: 1 },
  max_members: 20_000,
  max_event_rate: 100,
  refuse_versions: ["1"],
  own_invites: "decline",
  lists: ["#bans:example.org"],
  list_rooms: [
    { room_id: "!bans:example.org", read_at: Date.UTC(2025, 0, 2, 3, 4, 5), failures: 2, alias: null, moved_to: null },
    { room_id: "!new:example.org", read_at: null, failures: 0, alias: null, moved_to: null },
  ],
  rules: [
    {
      source: "operator",
      allow: 0,
      deny: 1,
      set_aside: 0,
      rules: [{ kind: "server", entity: "*.evil\u001b[2J", verdict: "deny", reason: "spam\u202e" }],
    },
    { source: "!bans:example.org", allow: 0, deny: 5000, set_aside: 0, rules: [] },
  ],
};

describe("policy show", () => {
  test("shows caps, budgets and whose rules there are", async () => {
    const { config } = await daemon({ "GET /policy": POLICY });
    expect((await emissary(["policy", "show", ...config])).stdout).toBe(
      `rooms            12 of 1000
joins under way  0 of 500
members          at most 20000 in a room
events           at most 100 a second in a room
versions         all but 1
own invites      decline
kept away from   1 flooded
budget user      30 joins in 1h
                 user abcdefgh… has 2 left
budget all       2000 joins in 1h, none used
policy lists     #bans:example.org
                 !bans:example.org: read at 2025-01-02T03:04:05Z; 2 tries failed since
                 !new:example.org: not read yet
rules            operator: 1 deny, 0 allow
rules            !bans:example.org: 5000 deny, 0 allow

RULE  KIND    GLOB             OF        REASON
deny  server  *.evil\\u{1b}[2J  operator  spam\\u{202e}
`,
    );
  });

  test("gives a program all of it", async () => {
    const { config } = await daemon({ "GET /policy": { ...POLICY, mood: "good" } });
    const { stdout } = await emissary(["policy", "show", "--json", ...config]);
    expect(JSON.parse(stdout)).toEqual({ ...POLICY, mood: "good" });
  });
});

describe("policy explain", () => {
  const rules = [
    { code: "denied", verdict: "passes", reason: "nothing against it", inputs: { rules: [] } },
    {
      code: "member-cap",
      verdict: "spared",
      reason: "the room has 9 members; but the operator allows this room",
      inputs: { joined_members: 9, max_members: 5 },
    },
    { code: "join-rule", verdict: "refuses", reason: "the rule is \u001b]0;x", inputs: { join_rule: "in\u001bvite" } },
  ];
  const verdict = { allowed: false, code: "join-rule", reason: "the rule is \u001b]0;x", retry_after_ms: 5_000 };
  const EXPLANATION: JsonObject = { room_id: "!a:b", alias: "#a:b", for: "tenant:telegram", verdict, rules };

  test("prints every rule in its order, what it looked at and what it says, and exits with 3 where one refuses", async () => {
    const { config, asked } = await daemon({ "GET /policy/explain": EXPLANATION });
    const args = ["#a:b", "--for", "tenant:telegram", "--via", "b", "--via", "c:8448"];
    expect(await emissary(["policy", "explain", ...args, ...config])).toEqual({
      exitCode: 3,
      stdout: `room  !a:b, #a:b
for   tenant:telegram
passes   denied      nothing against it (rules [])
spared   member-cap  the room has 9 members; but the operator allows this room (joined_members 9, max_members 5)
refuses  join-rule   the rule is \\u{1b}]0;x (join_rule "in\\u001bvite")
refused (join-rule): the rule is \\u{1b}]0;x; ask again in 5s
`,
      stderr: "",
    });
    expect(asked.map(({ line }) => line)).toEqual([
      "GET /policy/explain?room=#a:b&for=tenant:telegram&via=b&via=c:8448",
    ]);
  });

  test("is about a user where nothing else is said, and exits with 0 where all rules pass", async () => {
    const allowed = { allowed: true, code: "allowed", reason: "no rule is against it", retry_after_ms: null };
    const answer = { ...EXPLANATION, alias: null, for: "user", rules: rules.slice(0, 2), verdict: allowed };
    const { config, asked } = await daemon({ "GET /policy/explain": answer });
    const { exitCode, stdout } = await emissary(["policy", "explain", "!a:b", ...config]);
    expect([exitCode, stdout.split("\n").at(-2)]).toEqual([0, "allowed: no rule is against it"]);
    expect(asked[0]?.line).toBe("GET /policy/explain?room=!a:b&for=user");
  });

  test("gives a program all of it, with the same exit code", async () => {
    const { config } = await daemon({ "GET /policy/explain": EXPLANATION });
    const { exitCode, stdout } = await emissary(["policy", "explain", "!a:b", "--json", ...config]);
    expect([exitCode, JSON.parse(stdout)]).toEqual([3, EXPLANATION]);
    expect(stdout).not.toContain("\u001b");
  });

  test.each([[["nowhere"]], [["!a:b", "--via", "no server"]]])("asks nobody with %j", async (args) => {
    const { config, asked } = await daemon({});
    expect([(await emissary(["policy", "explain", ...args, ...config])).exitCode, asked]).toEqual([2, []]);
  });
});

describe("policy allow and deny", () => {
  test.each([
    [["server", "*.evil.test"], { kind: "server", entity: "*.evil.test" }],
    [["!bad:evil.test"], { kind: "room", entity: "!bad:evil.test" }],
    [["#*:evil.test"], { kind: "room", entity: "#*:evil.test" }],
    [["@spam*:evil.test"], { kind: "user", entity: "@spam*:evil.test" }],
    [["tenant", "irc"], { kind: "tenant", entity: "irc" }],
    [["room", "*"], { kind: "room", entity: "*" }],
  ])("%j: the kind is taken from the glob where it shows", async (args, subject) => {
    const { config, asked } = await daemon({ "POST /policy/rules": { outcome: "added" } });
    const { stdout } = await emissary(["policy", "deny", ...args, "--reason", "spam", ...config]);
    expect(stdout).toBe(`The ${subject.kind} ${subject.entity} is denied.\n`);
    expect(asked).toEqual([{ line: "POST /policy/rules", body: { ...subject, verdict: "deny", reason: "spam" } }]);
  });

  test.each([
    ["changed", "The user @a:b is allowed, in place of the rule there was.\n"],
    ["unchanged", "The user @a:b is allowed already.\n"],
  ])("says where the rule was %s", async (outcome, said) => {
    const { config } = await daemon({ "POST /policy/rules": { outcome } });
    expect((await emissary(["policy", "allow", "@a:b", ...config])).stdout).toBe(said);
  });

  test("remove takes a rule back, and repeats the daemon's word where there is none", async () => {
    const { config, asked } = await daemon({ "DELETE /policy/rules/room/#a:b": { removed: true } });
    expect((await emissary(["policy", "remove", "#a:b", ...config])).stdout).toBe(
      "The rule about the room #a:b is removed.\n",
    );
    expect(asked[0]?.line).toBe("DELETE /policy/rules/room/#a:b");
    const none = "The operator has no rule about the room #a:b.";
    const other = await daemon({ "DELETE /policy/rules/room/#a:b": refusal("not-found", none) });
    const { exitCode, stderr } = await emissary(["policy", "remove", "#a:b", ...other.config]);
    expect([exitCode, stderr]).toEqual([1, `emissary: ${none}\n`]);
  });

  test.each<[string, string[], RegExp]>([
    ["a word that may be anything", ["evil.test"], /Say what "evil\.test" is: room, server, user, tenant/],
    ["a kind alone", ["room"], /Say what "room" is/],
    ["an unknown kind", ["planet", "mars"], /"planet" is no kind/],
    ["a room for a user", ["user", "!a:b"], /"!a:b" matches no user/],
    ["an empty glob", ["server", ""], /empty/],
    ["a glob of 10 KB", ["server", "*".repeat(10_000)], /longer than 255 characters/],
    ["10 KB of no kind", ["x".repeat(10_000)], /Say what "x{80}" is/],
    ["control characters", ["!*\u001b[2J"], /control characters/],
    ["globs that a shell made of one", ["room", "!a", "!b"], /quotes/],
  ])("%s is refused with a sentence, and nobody is asked", async (_what, args, sentence) => {
    const { config, asked } = await daemon({});
    const { exitCode, stderr } = await emissary(["policy", "deny", ...args, ...config]);
    expect([exitCode, asked]).toEqual([2, []]);
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toContain("\u001b");
    expect(stderr.length).toBeLessThan(400);
  });
});
