/**
 * The admin API: what the operator, the CLI and monitoring ask. Health and metrics are open on their private listener, all
 * else needs admin.token.
 */
import { expect, test } from "vitest";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { ADMIN_BASE, ADMIN_ENDPOINTS } from "../../src/admin/api/endpoints.ts";
import type { Endpoint } from "../../src/admin/api/endpoint.ts";
import { AS_TOKEN, HS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import { ADMIN_TOKEN, ask, PSEUDOUSER, startService, type Answer, type Service } from "../support/service-app.ts";

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

function roomPath(room: FakeRoom): string {
  return `/rooms/${encodeURIComponent(room.id)}`;
}

function bare(service: Service, method: string, target: string, token: string | null): Promise<Answer> {
  return ask(service.app.ports.admin, method, target, { token });
}

test("health, readiness and metrics need no token", async () => {
  const service = await startService();
  await service.transaction("1", { events: [{ faulty: 1 }] });
  expect((await bare(service, "GET", "/health", null)).body).toEqual({ status: "alive" });
  expect((await bare(service, "GET", "/ready", null)).body).toEqual({ status: "ready" });
  const metrics = await bare(service, "GET", "/metrics", null);
  expect(metrics.headers["content-type"]).toContain("text/plain");
  const text = metrics.raw.toString("utf8");
  expect(text).toContain("emissary_transactions_total 1");
  expect(text).toContain('emissary_events_total{outcome="set-aside"} 1');
  for (const secret of [ADMIN_TOKEN, AS_TOKEN, HS_TOKEN]) expect(text).not.toContain(secret);
});

test("metrics carry no room, user or tenant", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("telltale");
  await tenant.join(room.id);
  await tenant.send(room.id, { body: "x" });
  const text = (await bare(service, "GET", "/metrics", null)).raw.toString("utf8");
  expect(text).toContain('emissary_rooms{phase="present"} 1');
  expect(text).toContain('emissary_leases{kind="tenant"} 1');
  for (const name of [room.id, "telltale", "elsewhere.test"]) expect(text).not.toContain(name);
});

test.each([
  ["none", null],
  ["a wrong one", "wrong"],
  ["the homeserver's", HS_TOKEN],
  ["our own for the homeserver", AS_TOKEN],
])("with %s for a token nothing below /_emissary is answered", async (_which, token) => {
  const service = await startService();
  const all = Object.values<Endpoint>(ADMIN_ENDPOINTS).map(({ method, path }) => [method, ADMIN_BASE + filled(path)]);
  for (const [method = "", target = ""] of [...all, ["GET", "/_emissary/v1/nothing"]]) {
    const answer = await bare(service, method, target, token);
    expect([target, answer.status]).toEqual([target, 401]);
  }
});

/** With something for each parameter. */
function filled(path: string): string {
  return path.replace(/:\w+/g, "one");
}

test("what the API says of itself is what it serves", async () => {
  const service = await startService();
  const { status, body } = await service.admin("GET", "/openapi.json");
  expect([status, body["openapi"]]).toEqual([200, "3.1.0"]);
  const { paths } = body as { paths: Record<string, Record<string, object>> };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path.replace(/\{\w+\}/g, "one")] as const),
  );
  expect(described).toHaveLength(Object.keys(ADMIN_ENDPOINTS).length + 3);
  for (const [method, target] of described) {
    // Each refuses a body that nobody wants, or what is named "one"; none is unknown.
    const answer = await ask(service.app.ports.admin, method, target, {
      token: ADMIN_TOKEN,
      ...(method === "POST" ? { body: { nonsense: true } } : {}),
    });
    expect([target, answer.body["errcode"] === "M_UNRECOGNIZED"]).toEqual([target, false]);
  }
  for (const [, ref = ""] of JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    expect(Object.keys((body["components"] as { schemas: object }).schemas)).toContain(ref);
  }
});

/** A router decodes the path before it looks for the route; a check that reads the path as it came in sees another one. */
test.each([
  "/%5Femissary/v1/status",
  "/_emissar%79/v1/tenants",
  "//_emissary/v1/status",
  "/x/../_emissary/v1/status",
  "/_EMISSARY/v1/status",
  "/_emissary%2Fv1%2Fstatus",
  "/./_emissary/v1/status",
  "http://x/_emissary/v1/status",
])("the path %s leads nobody past the token", async (target) => {
  const service = await startService();
  const answer = await bare(service, "GET", target, null);
  expect([401, 404, 400]).toContain(answer.status);
  expect(answer.raw.toString("utf8")).not.toContain(PSEUDOUSER);
});

test("a tenant's token opens nothing here", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  expect(outcome(await bare(service, "GET", "/_emissary/v1/status", tenant.token))).toEqual([401, "M_UNKNOWN_TOKEN"]);
});

test("the status tells how everything stands", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  await (await service.tenant("one")).join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  await service.untilDelivered();
  const { status, body } = await service.admin("GET", "/status");
  expect(status).toBe(200);
  expect(body).toMatchObject({
    pseudouser: PSEUDOUSER,
    ready: true,
    homeserver: { server_name: SERVER },
    rooms: { present: 1, loading: 0 },
    leases: { tenant: 1 },
    tenants: 1,
    intake: { events: 1, set_aside: 0 },
    journal: { first_seq: 1, last_seq: 1 },
  });
});

test("the operator joins and leaves rooms, private ones too, by ID and by alias", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom({ alias: "#ours:elsewhere.test", name: "Ours" });
  const alias = `/rooms/${encodeURIComponent("#ours:elsewhere.test")}`;
  const joined = await service.admin("POST", `${alias}/join`, { via: ["elsewhere.test"] });
  expect(joined.body).toEqual({ room_id: room.id, phase: "present" });
  await service.untilRoom(room.id, { load: "loaded" });
  expect((await service.admin("GET", alias)).body).toMatchObject({
    room_id: room.id,
    name: "Ours",
    phase: "present",
    joined_members: 2,
    members: { join: 2, leave: 0 },
    leases: [{ holder: "operator", expires_at: null }],
  });
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  expect((await service.admin("POST", `${alias}/leave`)).body).toMatchObject({
    released: true,
    holders: ["tenant:one"],
  });
  expect((await service.admin("POST", `${alias}/leave`)).body).toMatchObject({ released: false });
  expect(room.membership(PSEUDOUSER)).toBe("join");

  const secret = service.homeserver.makeRoom({ joinRule: "invite" });
  const refused = await service.admin("POST", `${roomPath(secret)}/join`, {});
  expect(refused.status).toBe(403);
  expect(refused.body["error"]).toContain("You are not invited to this room");
  secret.append("m.room.member", "@creator:elsewhere.test", { membership: "invite" }, PSEUDOUSER);
  expect((await service.admin("POST", `${roomPath(secret)}/join`, {})).status).toBe(200);
});

test("rooms and members are listed in pages", async () => {
  const service = await startService();
  const rooms = Array.from({ length: 5 }, () => service.homeserver.makeRoom());
  const tenant = await service.tenant("one");
  for (const { id } of rooms) await tenant.join(id);
  const ids: string[] = [];
  let next: string | null = "";
  while (next !== null) {
    const after = next === "" ? "" : `&after=${encodeURIComponent(next)}`;
    const { body } = await service.admin("GET", `/rooms?limit=2${after}`);
    ids.push(...(body["rooms"] as { room_id: string }[]).map(({ room_id }) => room_id));
    next = body["next"] as string | null;
  }
  expect(ids).toEqual(rooms.map(({ id }) => id).sort());
});

test("tenants are added, shown, rotated and removed, and their tokens are shown once", async () => {
  const service = await startService();
  const wish = { id: "telegram", url: "http://127.0.0.1:9", users: `^@tg_.*:${SERVER}$`, actions: ["read", "send"] };
  const added = await service.admin("POST", "/tenants", wish);
  expect(added.status).toBe(200);
  expect(added.body).toMatchObject({
    tenant: {
      id: "telegram",
      sender: `@_emissary_telegram:${SERVER}`,
      grants: [{ rooms: ["*"], actions: ["read", "send"], types: null, source: "operator" }],
      leases: 0,
    },
    registration: { id: "telegram", url: "http://127.0.0.1:9", sender_localpart: "_emissary_telegram" },
  });
  const { as_token, hs_token } = added.body["registration"] as { as_token: string; hs_token: string };
  expect((await service.admin("POST", "/tenants", wish)).status).toBe(409);
  const shown = await service.admin("GET", "/tenants/telegram");
  expect(shown.body).toMatchObject({ id: "telegram", users: wish.users });
  const listed = await service.admin("GET", "/tenants");
  expect(listed.body["tenants"]).toEqual([shown.body]);
  const rotated = (await service.admin("POST", "/tenants/telegram/rotate")).body["registration"];
  expect(rotated).not.toMatchObject({ as_token });
  expect(rotated).not.toMatchObject({ hs_token });
  expect((await service.admin("DELETE", "/tenants/telegram")).body).toEqual({ removed: true, leases_ended: 0 });
  for (const [method, target] of [
    ["GET", "/tenants/telegram"],
    ["POST", "/tenants/telegram/rotate"],
    ["DELETE", "/tenants/telegram"],
  ] as const) {
    expect(outcome(await service.admin(method, target))).toEqual([404, "M_NOT_FOUND"]);
  }
  const everything = JSON.stringify([shown, listed, (await service.admin("GET", "/audit")).body]) + service.log.text;
  for (const secret of [as_token, hs_token]) expect(everything).not.toContain(secret);
  const rows = service.query<Record<string, unknown>>("SELECT * FROM tenants");
  expect(rows).toEqual([]);
});

test("the database holds no token", async () => {
  const service = await startService();
  const { body } = await service.admin("POST", "/tenants", { id: "one" });
  const { as_token, hs_token } = body["registration"] as { as_token: string; hs_token: string };
  const rows = JSON.stringify(service.query("SELECT * FROM tenants"));
  for (const secret of [as_token, hs_token, AS_TOKEN, HS_TOKEN]) expect(rows).not.toContain(secret);
});

test("the audit is paged from the newest back", async () => {
  const service = await startService();
  for (const id of ["a", "b", "c", "d", "e"]) await service.tenant(id);
  const seen: unknown[] = [];
  let before = "";
  for (;;) {
    const { body } = await service.admin("GET", `/audit?limit=2${before}`);
    const entries = body["entries"] as { detail: { tenant: string } }[];
    seen.push(...entries.map(({ detail }) => detail.tenant));
    if (body["next"] === null) break;
    before = `&before=${JSON.stringify(body["next"])}`;
  }
  expect(seen).toEqual(["e", "d", "c", "b", "a"]);
});

test.each([
  ["GET", "/rooms?limit=0", undefined, 400],
  ["GET", "/rooms?limit=many", undefined, 400],
  ["GET", "/rooms?limit=-1", undefined, 400],
  ["GET", "/audit?limit=1.5", undefined, 400],
  ["GET", "/audit?before=abc", undefined, 400],
  ["GET", "/rooms/nonsense", undefined, 400],
  ["GET", "/rooms/!unknown:elsewhere.test", undefined, 404],
  ["GET", "/rooms/%23unknown:elsewhere.test", undefined, 404],
  ["GET", "/rooms/!unknown:elsewhere.test/members", undefined, 404],
  ["GET", "/rooms/nonsense/members", undefined, 400],
  ["POST", "/rooms/nonsense/join", {}, 400],
  ["POST", "/rooms/!r:elsewhere.test/join", { via: "elsewhere.test" }, 400],
  ["POST", "/rooms/!r:elsewhere.test/join", { via: ["not a server"] }, 400],
  ["POST", "/rooms/!r:elsewhere.test/join", { unheard: "of" }, 400],
  ["POST", "/rooms/!r:elsewhere.test/join", "{", 400],
  ["POST", "/rooms/!unknown:elsewhere.test/leave", undefined, 404],
  ["POST", "/tenants", {}, 400],
  ["POST", "/tenants", { id: "" }, 400],
  ["POST", "/tenants", { id: "../etc" }, 400],
  ["POST", "/tenants", { id: "one", url: "ftp://x" }, 400],
  ["POST", "/tenants", { id: "one", users: "(" }, 400],
  ["POST", "/tenants", { id: "one", actions: [] }, 400],
  ["POST", "/tenants", { id: "one", actions: ["everything"] }, 400],
  ["POST", "/tenants", { id: "one", admin: true }, 400],
  ["POST", "/tenants", "[]", 400],
  ["POST", "/tenants", { id: "x".repeat(70_000) }, 413],
  ["PUT", "/tenants", {}, 405],
  ["DELETE", "/status", undefined, 405],
  ["GET", "/nothing", undefined, 404],
] as const)("%s %s with %j is answered %i with a sentence", async (method, target, body, status) => {
  const service = await startService();
  const answer = await service.admin(method, target, body);
  expect(answer.status).toBe(status);
  expect(answer.body["errcode"]).toEqual(expect.stringMatching(/^M_/));
  expect(answer.body["error"]).toEqual(expect.stringMatching(/\.$/));
});

test("members are filtered by membership, and a bad filter is refused", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom({ members: ["@a:elsewhere.test", "@b:elsewhere.test"] });
  await (await service.tenant("one")).join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  homeserver.setMembership(room, "@b:elsewhere.test", "ban", "@creator:elsewhere.test");
  await service.untilDelivered();
  const members = (query: string) => service.admin("GET", `${roomPath(room)}/members${query}`);
  expect((await members("?membership=ban")).body["members"]).toMatchObject([{ user_id: "@b:elsewhere.test" }]);
  expect((await members("")).body["members"]).toHaveLength(4);
  expect((await members("?membership=floating")).status).toBe(400);
  expect((await members("?after=nobody")).status).toBe(400);
});
