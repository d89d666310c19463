/** What the operator allows a tenant, what becomes of the rest, and how much of all it may ask. */
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/model/json.ts";
import { eventually, PSEUDOUSER, startService, type Answer, type Service } from "../support/service-app.ts";

const CODE = "org.matrix.msc1777.code";
const REASON = "org.matrix.msc1777.reason";

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

function baseOf(roomId: string): string {
  return `/rooms/${encodeURIComponent(roomId)}`;
}

/** Rows of the audit about what tenants were refused, the oldest first. */
async function refusals(service: Service): Promise<JsonObject[]> {
  const { entries } = (await service.admin("GET", "/audit?limit=200")).body;
  const all = Array.isArray(entries) ? entries.filter(isJsonObject) : [];
  return all.filter(({ action }) => action === "request.refuse").toReversed();
}

test("the operator allows a tenant more, and something else in place of all", async () => {
  const service = await startService();
  const { homeserver } = service;
  const [ops, other] = [homeserver.makeRoom({ alias: "#ops:elsewhere.test" }), homeserver.makeRoom()];
  const tenant = await service.tenant("one", ["read"]);
  for (const room of ["#ops:elsewhere.test", other.id]) expect((await tenant.join(room)).status).toBe(200);
  const send = (roomId: string): Promise<Answer> => tenant.send(roomId, { body: "x" });
  expect(outcome(await send(ops.id))).toEqual([403, "M_FORBIDDEN"]);

  const grant = { rooms: ["#ops:*"], actions: ["send"], types: ["m.room.message"] };
  const { status, body } = await service.admin("POST", "/tenants/one/grants", grant);
  expect([status, body["grants"]]).toEqual([
    200,
    [
      { rooms: ["*"], actions: ["read"], types: null, source: "operator" },
      { ...grant, source: "operator" },
    ],
  ]);
  expect((await send(ops.id)).status).toBe(200);
  expect(outcome(await send(other.id))).toEqual([403, "M_FORBIDDEN"]);
  expect(outcome(await tenant.send(ops.id, {}, { type: "m.reaction" }))).toEqual([403, "M_FORBIDDEN"]);
  expect((await tenant.ask("GET", `${baseOf(other.id)}/state`)).status).toBe(200);

  await service.admin("POST", "/tenants/one/grants", { ...grant, only: true });
  expect((await send(ops.id)).status).toBe(200);
  expect(outcome(await tenant.ask("GET", `${baseOf(other.id)}/state`))).toEqual([403, "M_FORBIDDEN"]);
  expect((await service.admin("GET", "/tenants/one")).body["grants"]).toEqual([{ ...grant, source: "operator" }]);
  const refused = await tenant.join(homeserver.makeRoom().id);
  expect([...outcome(refused), refused.body[REASON]]).toEqual([403, "M_FORBIDDEN", "not-allowed"]);
});

test.each<[JsonObject, RegExp]>([
  [{ rooms: ["*", "!a:b"] }, /rooms .*goes alone/],
  [{ rooms: ["**"] }, /wildcards only/],
  [{ rooms: ["ops"] }, /matches no room/],
  [{ rooms: [] }, /no pattern/],
  [{ actions: ["dance"] }, /actions/],
  [{ actions: [] }, /actions/],
  [{ types: [""] }, /types .*empty/],
  [{ room: ["!a:b"] }, /room/],
])("a grant of %j is none, and the answer says why", async (body, why) => {
  const service = await startService();
  await service.tenant("one");
  const answer = await service.admin("POST", "/tenants/one/grants", body);
  expect([answer.status, answer.body[CODE]]).toEqual([400, "bad-request"]);
  expect(answer.body["error"]).toMatch(why);
  expect((await service.admin("POST", "/tenants/nobody/grants", {})).status).toBe(404);
});

test("a private room needs the operator's word; one for every room is none", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom({ joinRule: "invite" });
  service.homeserver.setMembership(room, PSEUDOUSER, "invite", "@creator:elsewhere.test");
  const tenant = await service.tenant("one");
  await service.admin("POST", "/tenants/one/grants", { rooms: ["*"], actions: ["state"] });
  const refused = await tenant.join(room.id);
  expect([...outcome(refused), refused.body[REASON]]).toEqual([403, "M_FORBIDDEN", "not-visible"]);
  await service.admin("POST", "/tenants/one/grants", { rooms: [room.id] });
  expect((await tenant.join(room.id)).status).toBe(200);
  expect((await tenant.send(room.id, { body: "x" })).status).toBe(200);
});

test("each refusal is in the audit with its code and what was asked, once, and without content", async () => {
  const service = await startService();
  const { homeserver } = service;
  const [plain, encrypted, elsewhere] = [{}, { encrypted: true }, {}].map((options) => homeserver.makeRoom(options));
  const tenant = await service.tenant("one", ["send"]);
  for (const room of [plain!, encrypted!]) {
    await tenant.join(room.id);
    await service.untilRoom(room.id, { load: "loaded" });
  }
  const secret = { body: "the-secret-text" };
  await tenant.ask("GET", `${baseOf(plain!.id)}/state`);
  await tenant.send(encrypted!.id, secret);
  await tenant.send(elsewhere!.id, secret);
  await tenant.ask("GET", "/account/whoami?user_id=%40somebody%3Aelsewhere.test");
  for (let n = 0; n < 20; n += 1) await tenant.send(elsewhere!.id, secret);
  // Of what policy refuses there is a row already, with the verdict.
  await tenant.join(homeserver.makeRoom({ joinRule: "invite" }).id);
  const send = "PUT /rooms/:roomId/send/:eventType/:txnId";
  const rows = await eventually("the rows", async () => {
    const found = await refusals(service);
    return found.length >= 4 ? found : null;
  });
  expect(rows.slice(0, 4).map(({ actor, outcome, room_id, detail }) => [actor, outcome, room_id, detail])).toEqual([
    ["tenant:one", "forbidden", plain!.id, { request: "GET /rooms/:roomId/state", reason: "not-allowed", times: 1 }],
    ["tenant:one", "room-encrypted", encrypted!.id, { request: send, reason: null, times: 1 }],
    ["tenant:one", "no-lease", elsewhere!.id, { request: send, reason: null, times: 1 }],
    ["tenant:one", "forbidden", null, { request: "GET /account/whoami", reason: null, times: 1 }],
  ]);
  expect(JSON.stringify(rows)).not.toContain("the-secret-text");
  const counted = await eventually("the end of the minute", async () => {
    const [, ...repeats] = (await refusals(service)).filter(({ outcome }) => outcome === "no-lease");
    const times = repeats.map(({ detail }) => (isJsonObject(detail) ? Number(detail["times"]) : 0));
    return times.reduce((sum, one) => sum + one, 0) === 20 ? times : null;
  });
  expect(counted.length).toBeLessThan(5);
});

test("a tenant that asks too much is told when to come again, and another does not notice", async () => {
  const settings = { gateway: { tenantRate: 1, tenantBurst: 10 } };
  const service = await startService({ settings });
  const room = service.homeserver.makeRoom();
  const [one, two] = [await service.tenant("one"), await service.tenant("two")];
  for (const tenant of [one, two]) expect((await tenant.join(room.id)).status).toBe(200);
  const answers = await Promise.all(Array.from({ length: 40 }, () => one.send(room.id, { body: "x" })));
  const limited = answers.filter(({ status }) => status === 429);
  expect(limited.length).toBeGreaterThan(5);
  for (const { body, headers } of limited) {
    expect([body["errcode"], body[REASON]]).toEqual(["M_LIMIT_EXCEEDED", "tenant-rate"]);
    expect(body["retry_after_ms"]).toBeGreaterThan(0);
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  }
  expect((await two.send(room.id, { body: "x" })).status).toBe(200);
  expect(room.timeline.filter(({ type }) => type === "m.room.message")).toHaveLength(41 - limited.length);
  await eventually("its being audited", async () =>
    (await refusals(service)).some((row) => row["outcome"] === "limited"),
  );
  await eventually("its turn having come", async () => (await one.send(room.id, { body: "later" })).status === 200);
});

test("what the homeserver limits is sent once it takes it, in order, and the tenant hears nothing of it", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  const edited = (await tenant.send(room.id, { body: "x" })).body["event_id"]!;
  const body = { errcode: "M_LIMIT_EXCEEDED", error: "Too many requests", retry_after_ms: 3_000 };
  homeserver.fault("PUT", /\/send\//, { status: 429, body }, 3);
  const answers: Promise<Answer>[] = [];
  for (let n = 0; n < 6; n += 1) {
    // Whose the edited event is, is asked for just before the edit takes its place: so each is in before the next is begun.
    answers.push(tenant.send(room.id, { n, "m.relates_to": { rel_type: "m.replace", event_id: edited } }));
    await eventually("its being on its way", () => homeserver.seen("GET", /\/event\//).length > n);
    if (n === 0) await eventually("the first being limited", () => homeserver.seen("PUT", /\/send\//).length > 1);
  }
  const said = await Promise.all(answers);
  expect(said.map(({ status }) => status)).toEqual(Array(6).fill(200));
  expect(new Set(said.map(({ body: { event_id } }) => event_id)).size).toBe(6);
  const [, ...sent] = room.timeline.filter(({ type }) => type === "m.room.message");
  expect(sent.map(({ content }) => content["n"])).toEqual([0, 1, 2, 3, 4, 5]);
});

test("where the homeserver limits for longer than anybody waits, the tenant is told, with the time", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  const body = { errcode: "M_LIMIT_EXCEEDED", error: "Too many requests", retry_after_ms: 600_000 };
  service.homeserver.fault("PUT", /\/send\//, { status: 429, body });
  const answer = await tenant.send(room.id, { body: "x" });
  expect([...outcome(answer), answer.body[REASON]]).toEqual([429, "M_LIMIT_EXCEEDED", "homeserver"]);
  expect(answer.body["retry_after_ms"]).toBeGreaterThan(500_000);
  expect(Number(answer.headers["retry-after"])).toBeGreaterThan(500);
  expect((await tenant.send(room.id, { body: "x" })).status).toBe(200);
});
