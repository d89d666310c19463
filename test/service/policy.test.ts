/**
 * Policy as the operator sees and sets it, through the running program: what every rule says of a room, rules that take effect at
 * once, and what of refusals is counted and kept.
 */
import { expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { CHECKS } from "../../src/policy/checks.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import {
  ask,
  eventually,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  type Answer,
  type Service,
} from "../support/service-app.ts";

const SUMMARY = /\/room_summary\//;
const CREATOR = "@creator:elsewhere.test";
const HOUR = 3_600_000;

function explain(service: Service, room: string, holder = "user"): Promise<Answer> {
  const query = new URLSearchParams({ room, for: holder, via: "elsewhere.test" });
  return service.admin("GET", `/policy/explain?${query.toString()}`);
}

function rule(service: Service, kind: string, entity: string, verdict: string, reason?: string): Promise<Answer> {
  return service.admin("POST", "/policy/rules", { kind, entity, verdict, ...(reason === undefined ? {} : { reason }) });
}

function unrule(service: Service, kind: string, entity: string): Promise<Answer> {
  return service.admin("DELETE", `/policy/rules/${kind}/${encodeURIComponent(entity)}`);
}

function words(value: JsonValue | undefined): Record<string, JsonValue | undefined> {
  const rules = Array.isArray(value) ? value.filter(isJsonObject) : [];
  return Object.fromEntries(rules.map((one) => [stringAt(one, "code") ?? "", one["verdict"]]));
}

async function auditOf(service: Service, action: RegExp): Promise<JsonObject[]> {
  const { body } = await service.admin("GET", "/audit");
  const entries = Array.isArray(body["entries"]) ? body["entries"].filter(isJsonObject) : [];
  return entries.filter((entry) => action.test(stringAt(entry, "action") ?? ""));
}

async function metrics(service: Service): Promise<string> {
  return (await ask(service.app.ports.admin, "GET", "/metrics")).raw.toString("utf8");
}

function refusal({ status, body }: Answer): unknown[] {
  return [status, body["errcode"], body["org.matrix.msc1777.reason"]];
}

test.each([
  ["user", { "not-peekable": "refuses", "join-rule": "refuses", "member-cap": "refuses" }],
  ["tenant:one", { "not-peekable": "passes", "join-rule": "refuses", "not-allowed": "passes" }],
  ["alias", { "not-peekable": "passes", "member-cap": "refuses" }],
  ["invite", { "not-peekable": "passes", "member-cap": "refuses" }],
  ["operator", { "join-rule": "spared", "member-cap": "spared", "room-cap": "passes" }],
])("explain for %s has every rule's word, and the one that decides", async (holder, expected) => {
  const service = await startService({ settings: { policy: { maxMembers: 10 } } });
  await service.tenant("one");
  const room = service.homeserver.makeRoom({ joinRule: "invite", summaryMembers: 11 });
  const { status, body } = await explain(service, room.id, holder);
  expect([status, body["room_id"], body["for"]]).toEqual([200, room.id, holder]);
  expect(body["rules"]).toHaveLength(CHECKS.length);
  expect(words(body["rules"])).toMatchObject(expected);
  const first = Object.entries(words(body["rules"])).find(([, word]) => word === "refuses")?.[0] ?? "allowed";
  expect(body["verdict"]).toMatchObject({ code: first, allowed: first === "allowed" });
});

test("explain takes an alias, and a tenant without its name where there is one only", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom({ alias: "#open:elsewhere.test" });
  expect((await explain(service, "#open:elsewhere.test", "tenant")).body["error"]).toBe("There is no tenant.");
  await service.tenant("one");
  expect((await explain(service, "#open:elsewhere.test", "tenant")).body).toMatchObject({
    room_id: room.id,
    alias: "#open:elsewhere.test",
    for: "tenant:one",
    verdict: { allowed: true, code: "allowed" },
  });
  await service.tenant("two");
  expect((await explain(service, room.id, "tenant")).body["error"]).toBe("Say which tenant, as in tenant:one.");
  expect((await explain(service, room.id, "tenant:three")).status).toBe(404);
});

test("explain asks the homeserver each time, also where somebody was refused by its answer just now; nobody pays", async () => {
  const service = await startService({ settings: { policy: { joinsInAll: { joins: 1, per: HOUR } } } });
  const room = service.homeserver.makeRoom({ joinRule: "invite" });
  const tenant = await service.tenant("one");
  expect(refusal(await tenant.join(room.id))).toEqual([403, "M_FORBIDDEN", "not-visible"]);
  service.homeserver.send(room, CREATOR, "m.room.join_rules", { join_rule: "public" }, "");
  const asked = service.homeserver.seen("GET", SUMMARY).length;
  for (let time = 1; time <= 3; time += 1) {
    expect((await explain(service, room.id, "tenant")).body["verdict"]).toMatchObject({ allowed: true });
    expect(service.homeserver.seen("GET", SUMMARY)).toHaveLength(asked + time);
  }
  expect((await service.admin("GET", "/policy")).body["budgets"]).toContainEqual({
    budget: "all",
    joins: 1,
    per_ms: HOUR,
    levels: [],
  });
});

test("a rule takes effect at once, and so does taking it back; both are audited", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const [room, other] = [service.homeserver.makeRoom(), service.homeserver.makeRoom()];
  const glob = room.id.replace("!room", "!ro?m");
  expect((await rule(service, "room", glob, "deny", "spam")).body).toEqual({ outcome: "added" });
  expect((await rule(service, "room", glob, "deny", "spam")).body).toEqual({ outcome: "unchanged" });
  const refused = await tenant.join(room.id);
  expect(refusal(refused)).toEqual([403, "M_FORBIDDEN", "denied"]);
  expect(refused.body["error"]).not.toContain("spam");
  expect((await tenant.join(other.id)).status).toBe(200);
  expect((await rule(service, "room", glob, "allow")).body).toEqual({ outcome: "changed" });
  expect((await explain(service, room.id, "tenant")).body["verdict"]).toMatchObject({ allowed: true });
  expect((await rule(service, "room", glob, "deny")).body).toEqual({ outcome: "changed" });
  expect((await unrule(service, "room", glob)).body).toEqual({ removed: true });
  expect((await unrule(service, "room", glob)).status).toBe(404);
  expect((await tenant.join(room.id)).status).toBe(200);
  const audited = await auditOf(service, /^policy\./);
  expect(audited.map(({ actor, action }) => [actor, action]).toReversed()).toEqual([
    ["operator", "policy.deny"],
    ["operator", "policy.allow"],
    ["operator", "policy.deny"],
    ["operator", "policy.remove"],
  ]);
});

test("an allowed server is an exception from all that are denied", async () => {
  const service = await startService({ settings: { policy: { denyServers: ["*"] } } });
  const tenant = await service.tenant("one");
  const room = service.homeserver.makeRoom();
  expect(refusal(await tenant.join(room.id))[2]).toBe("denied");
  await rule(service, "server", "Elsewhere.test", "allow");
  expect((await tenant.join(room.id)).status).toBe(200);
  const { body } = await unrule(service, "server", "*");
  expect(body["error"]).toBe(
    "The operator has no rule about the server *. There is one of the configuration: allow what it denies, or change it there.",
  );
});

test("the pseudouser leaves a room that is denied while it is there", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const room = service.homeserver.makeRoom();
  await tenant.join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  await rule(service, "server", "elsewhere.test", "deny");
  await eventually("the pseudouser out of the room", () => room.membership(PSEUDOUSER) === "leave");
  expect(await tenant.joinedRooms()).toEqual([]);
});

test("rules are there after a stop and a start", async () => {
  const sqlite = `${temporaryFolder()}/emissary.db`;
  const first = await startService({ sqlite });
  await rule(first, "user", "@spam*:*", "deny", "spam");
  await first.app.stop();
  const { body } = await (await startService({ sqlite, homeserver: first.homeserver })).admin("GET", "/policy");
  expect(body["rules"]).toEqual([
    {
      source: "operator",
      allow: 0,
      deny: 1,
      set_aside: 0,
      rules: [{ kind: "user", entity: "@spam*:*", verdict: "deny", reason: "spam" }],
    },
  ]);
});

test("a thousand refusals are counted, and a handful of rows in the audit say how many there were", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom({ joinRule: "invite" });
  const tenant = await service.tenant("one");
  for (let round = 0; round < 40; round += 1) {
    const answers = await Promise.all(Array.from({ length: 25 }, () => tenant.join(room.id)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]));
  }
  expect(await metrics(service)).toContain('emissary_policy_refusals_total{code="not-visible",holder="tenant"} 1000');
  const rows = await eventually("numbers that add up to a thousand", async () => {
    const entries = await auditOf(service, /^lease\.take$/);
    const times = entries.map(({ detail }) => (isJsonObject(detail) ? Number(detail["times"]) : 0));
    return times.reduce((sum, one) => sum + one, 0) === 1_000 ? entries : null;
  });
  expect(rows.length).toBeLessThan(12);
  expect(rows.at(-1)).toMatchObject({ actor: "tenant:one", outcome: "not-visible", room_id: room.id });
});

test("a user who has used up the budget is told when to come back, and the status names who is nearly there", async () => {
  const settings = { gateway: { frontDoor: true }, policy: { joinsPerUser: { joins: 1, per: HOUR } } };
  const service = await startService({ settings });
  const rooms = [1, 2].map(() => service.homeserver.makeRoom({ historyVisibility: "world_readable" }));
  const answers: Answer[] = [];
  for (const { id } of rooms) {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(id)}/initialSync?via=elsewhere.test`;
    answers.push(await service.gateway("GET", path, { token: "token-of-alice" }));
  }
  expect(answers.map(refusal)).toEqual([
    [200, undefined, undefined],
    [403, "M_FORBIDDEN", "budget-user"],
  ]);
  const wait = Number(answers[1]?.body["retry_after_ms"]);
  expect(wait > 0 && wait <= HOUR).toBe(true);
  const text = await metrics(service);
  expect(text).toContain('emissary_policy_refusals_total{code="budget-user",holder="peek"} 1');
  expect(Number(/emissary_policy_budget_left\{budget="user"\} (\S+)/.exec(text)?.[1])).toBeLessThan(0.1);
  const { policy } = (await service.admin("GET", "/status")).body;
  const budgets = isJsonObject(policy) && Array.isArray(policy["budgets"]) ? policy["budgets"] : [];
  const user = budgets.filter(isJsonObject).find(({ budget }) => budget === "user");
  expect(user).toMatchObject({ joins: 1, levels: [{ payer: expect.stringMatching(/^[\w-]{22}$/) as string }] });
  expect(JSON.stringify(policy)).not.toContain(`@alice:${SERVER}`);
});

test("metrics say whose rules there are", async () => {
  const service = await startService({ settings: { policy: { denyServers: ["a", "b"], allowRooms: ["!c"] } } });
  await rule(service, "tenant", "one", "deny");
  const text = await metrics(service);
  expect(text).toContain('emissary_policy_rules{source="config"} 3');
  expect(text).toContain('emissary_policy_rules{source="operator"} 1');
  expect(text).toContain('emissary_policy_rules{source="list"} 0');
  expect(text).toContain('emissary_cool_downs{code="flooded"} 0');
});

test.each<[string, JsonObject]>([
  ["an unknown kind", { kind: "planet", entity: "mars", verdict: "deny" }],
  ["an unknown verdict", { kind: "server", entity: "a.test", verdict: "maybe" }],
  ["a key that is none", { kind: "server", entity: "a.test", verdict: "deny", source: "config" }],
  ["a glob of 10 KB", { kind: "server", entity: "*".repeat(10_000), verdict: "deny" }],
  ["a reason of 10 KB", { kind: "server", entity: "a.test", verdict: "deny", reason: "x".repeat(10_000) }],
  ["control characters", { kind: "room", entity: "!*\u001b[2J", verdict: "deny" }],
  ["a user for a room", { kind: "room", entity: "@a:b", verdict: "deny" }],
  ["no text", { kind: "room", entity: 7, verdict: "deny" }],
])("%s makes no rule, and is told so in a sentence", async (_what, body) => {
  const service = await startService();
  const answer = await service.admin("POST", "/policy/rules", body);
  expect([answer.status, answer.body["errcode"]]).toEqual([400, "M_BAD_JSON"]);
  const sentence = stringAt(answer.body, "error") ?? "";
  expect(sentence).toMatch(/^This is no rule: .*\.$/);
  expect(sentence.length).toBeLessThan(300);
  expect((await service.admin("GET", "/policy")).body["rules"]).toEqual([]);
});

test.each([
  ["a room that is none", "room=nowhere", 400],
  ["no room", "", 400],
  ["an alias that leads nowhere", "room=%23nowhere:elsewhere.test", 404],
  ["somebody who is nobody", "room=!a:b&for=everybody", 400],
  ["a tenant that is none", "room=!a:b&for=tenant:%1b", 404],
  ["a route that is none", "room=!a:b&via=no%20server", 400],
  ["too many routes", `room=!a:b${"&via=a.test".repeat(21)}`, 400],
])("explain with %s is refused with a sentence", async (_what, query, status) => {
  const service = await startService();
  const answer = await service.admin("GET", `/policy/explain?${query}`);
  expect(answer.status).toBe(status);
  expect(stringAt(answer.body, "error") ?? "").toMatch(/\.$/);
});
