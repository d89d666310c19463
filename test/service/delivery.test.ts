/**
 * Transactions to tenants' own servers: in order, each with one ID and one content however often it is sent, whatever the tenant
 * answers, and whatever another tenant does.
 */
import type { ServerResponse } from "node:http";
import path from "node:path";
import { expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { contentsById, take, TenantListener, type Call, type Reply } from "../support/tenant-listener.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import {
  ask,
  eventually,
  fakeHomeserver,
  gate,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  TenantClient,
  type Service,
} from "../support/service-app.ts";

interface Added {
  readonly client: TenantClient;
  readonly hsToken: string;
}

async function add(service: Service, id: string, url: string, more: JsonObject = {}): Promise<Added> {
  const { status, body } = await service.admin("POST", "/tenants", { id, url, ...more });
  const { tenant, registration } = body;
  if (status !== 200 || !isJsonObject(tenant) || !isJsonObject(registration)) throw new Error(JSON.stringify(body));
  const text = (key: string): string => stringAt(registration, key) ?? "";
  return {
    client: new TenantClient(service, id, stringAt(tenant, "sender") ?? "", text("as_token")),
    hsToken: text("hs_token"),
  };
}

function say(service: Service, room: FakeRoom, count: number): string[] {
  return Array.from({ length: count }, (_, at) => {
    return service.homeserver.say(room, "@creator:elsewhere.test", `message ${at}`).event_id;
  });
}

/** A tenant that has been in a room for a while: what its joining brought is taken. */
async function scene(more: JsonObject = {}) {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const listener = await new TenantListener().listen();
  const added = await add(service, "one", listener.url, more);
  expect((await added.client.join(room.id)).status).toBe(200);
  await service.untilRoom(room.id, { load: "loaded" });
  await service.untilDelivered();
  await untilCaughtUp(service, "one");
  return { service, room, listener, ...added };
}

async function delivery(service: Service, id: string): Promise<JsonObject> {
  const { body } = await service.admin("GET", `/tenants/${id}`);
  return isJsonObject(body["delivery"]) ? body["delivery"] : {};
}

async function untilCaughtUp(service: Service, id: string): Promise<void> {
  await eventually(`${id} having caught up`, async () => (await delivery(service, id))["lag_events"] === 0);
}

async function untilTaken(listener: TenantListener, ids: readonly string[]): Promise<void> {
  await eventually("the tenant having taken the events", () => {
    const events = listener.events;
    return ids.every((id) => events.includes(id));
  });
}

test("what happens in a tenant's rooms is put to its URL with its hs_token, in order; what happens elsewhere is not", async () => {
  const { service, room, listener, hsToken } = await scene();
  const elsewhere = service.homeserver.makeRoom();
  await service.admin("POST", `/rooms/${encodeURIComponent(elsewhere.id)}/join`, {});
  await service.untilRoom(elsewhere.id, { load: "loaded" });
  const secret = say(service, elsewhere, 3);
  const ids = say(service, room, 250);
  await untilTaken(listener, ids);
  expect(listener.events.filter((id) => ids.includes(id))).toEqual(ids);
  expect(listener.events.filter((id) => secret.includes(id))).toEqual([]);
  for (const { method, path: at, token, body } of listener.transactions) {
    expect([method, token]).toEqual(["PUT", `Bearer ${hsToken}`]);
    expect(at).toMatch(/^\/_matrix\/app\/v1\/transactions\/[\w-]+\.1\.\d+-\d+$/);
    expect((body["events"] as JsonObject[]).length).toBeLessThanOrEqual(100);
    for (const event of body["events"] as JsonObject[]) expect(event["room_id"]).toBe(room.id);
  }
  await untilCaughtUp(service, "one");
  expect(await delivery(service, "one")).toMatchObject({
    state: "flowing",
    lag_events: 0,
    oldest_at: null,
    last_error: null,
  });
  const metrics = (await ask(service.app.ports.admin, "GET", "/metrics")).raw.toString();
  expect(metrics).toContain('emissary_tenant_lag_events{tenant="one"} 0');
  expect(metrics).toMatch(/emissary_tenant_transactions_total\{tenant="one",outcome="delivered"\} [1-9]/);
});

const FAULTS: readonly (readonly [string, Reply, RegExp])[] = [
  ["answers 500", (response) => response.writeHead(500).end("no"), /answers 500/],
  ["answers 400", (response) => response.writeHead(400).end('{"errcode":"M_BAD_JSON"}'), /answers 400 M_BAD_JSON/],
  ["does not know the token", (response) => response.writeHead(403).end("{}"), /hs_token/],
  ["redirects", (response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(), /redirect/],
  ["hangs", () => undefined, /no answer within 60 s/],
  ["closes without an answer", (response) => response.destroy(), /closed the connection early/],
  [
    "closes in the middle of its answer",
    (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => response.destroy());
    },
    /closed the connection early/,
  ],
  ["sends what is no HTTP", (response) => response.socket?.end("garbage\r\n\r\n"), /not answer in HTTP/],
  ["answers 200 with a page", (response) => response.writeHead(200).end("<html>Welcome</html>"), /without JSON/],
  ["answers without end", (response) => endless(response), /without JSON/],
];

function endless(response: ServerResponse): void {
  response.writeHead(200);
  const more = (): void => {
    if (!response.destroyed) response.write(" ".repeat(16 * 1024), () => setImmediate(more));
  };
  more();
}

test.each(FAULTS)("a tenant that %s gets the same transaction again until it takes it", async (_what, fault, told) => {
  const { service, room, listener } = await scene();
  listener.reply = fault;
  listener.taken.clear();
  const before = listener.transactions.length;
  const ids = say(service, room, 3);
  await eventually("two tries", () => listener.transactions.length >= before + 2);
  const standing = await delivery(service, "one");
  expect(standing).toMatchObject({ state: "failing", last_error: expect.stringMatching(told) as string });
  expect(standing["oldest_at"]).toEqual(expect.any(Number));
  listener.taken.clear();
  ids.push(...say(service, room, 3));
  listener.reply = take;
  await untilTaken(listener, ids);
  expect(listener.events).toEqual(ids);
  expect(contentsById(listener).every((contents) => contents === 1)).toBe(true);
  await eventually("all being well", async () => (await delivery(service, "one"))["state"] === "flowing");
});

test("a tenant that listens at the old path is given its transactions there, with the token in the query, too", async () => {
  const { service, room, listener, hsToken } = await scene();
  listener.taken.clear();
  listener.reply = (response, { path: at }) =>
    at.startsWith("/transactions/") ? take(response, {} as Call) : response.writeHead(404).end("{}");
  const ids = [...say(service, room, 1)];
  await eventually("the first being taken", () => listener.taken.size > 0);
  ids.push(...say(service, room, 1));
  await eventually("the second being taken", () => listener.events.length === 2);
  expect(listener.events).toEqual(ids);
  expect(listener.transactions.at(-1)?.path).toMatch(
    new RegExp(`^/transactions/[\\w-]+\\.1\\.\\d+-\\d+\\?access_token=${hsToken}$`),
  );
});

test("one tenant that hangs and one that is not there delay no other", async () => {
  const { service, room, listener } = await scene();
  const hanging = await new TenantListener().listen();
  hanging.reply = () => undefined;
  const gone = await new TenantListener().listen();
  const { url } = gone;
  gone.stop();
  for (const [id, at] of [
    ["two", hanging.url],
    ["three", url],
  ] as const) {
    expect((await (await add(service, id, at)).client.join(room.id)).status).toBe(200);
  }
  const ids: string[] = [];
  for (let round = 0; round < 5; round += 1) {
    ids.push(...say(service, room, 1));
    await untilTaken(listener, ids);
  }
  const { body } = await service.admin("GET", "/status");
  await eventually("all standing as they do", async () => {
    const status = (await service.admin("GET", "/status")).body["tenant_deliveries"] as JsonObject[];
    return Number(status[1]?.["lag_events"]) >= 5 && status[1]?.["state"] === "failing";
  });
  expect(body["tenant_deliveries"]).toHaveLength(3);
  expect(new Set(hanging.transactions.map(({ path: at }) => at)).size).toBe(1);
});

test("after a restart the transaction that was under way comes first, as it was, and then what came since", async () => {
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const first = await startService({ homeserver, sqlite });
  const room = homeserver.makeRoom();
  const listener = await new TenantListener().listen();
  const { client } = await add(first, "one", listener.url);
  expect((await client.join(room.id)).status).toBe(200);
  await first.untilRoom(room.id, { load: "loaded" });
  await first.untilDelivered();
  await untilCaughtUp(first, "one");
  listener.taken.clear();
  listener.reply = (response) => response.writeHead(503).end();
  const before = listener.transactions.length;
  const ids = say(first, room, 2);
  await eventually("a try", () => listener.transactions.length > before);
  ids.push(...say(first, room, 2));
  await first.untilDelivered();
  await first.app.stop();

  listener.reply = take;
  const second = await startService({ homeserver, sqlite });
  ids.push(...say(second, room, 2));
  await untilTaken(listener, ids);
  expect(listener.events).toEqual(ids);
  expect(contentsById(listener).every((contents) => contents === 1)).toBe(true);
});

test("what comes while a tenant is paused is kept for it", async () => {
  const { service, room, listener } = await scene();
  listener.taken.clear();
  expect((await service.admin("POST", "/tenants/one/pause")).body).toEqual({
    tenant: "one",
    paused_at: expect.any(Number) as number,
  });
  const before = listener.transactions.length;
  const ids = say(service, room, 3);
  await service.untilDelivered();
  await eventually("its being behind", async () => {
    const standing = await delivery(service, "one");
    return standing["state"] === "paused" && Number(standing["lag_events"]) >= 3;
  });
  expect(listener.transactions).toHaveLength(before);
  expect((await service.admin("POST", "/tenants/one/resume")).body).toEqual({ tenant: "one", paused_at: null });
  await untilTaken(listener, ids);
  expect(listener.events).toEqual(ids);
});

test("a replay gives again what was delivered, in transactions with new IDs", async () => {
  const { service, room, listener } = await scene();
  listener.taken.clear();
  const ids = say(service, room, 3);
  await untilTaken(listener, ids);
  await untilCaughtUp(service, "one");
  const { last_seq: last } = (await service.admin("GET", "/status")).body["journal"] as { last_seq: number };
  listener.taken.clear();
  expect((await service.admin("POST", "/tenants/one/replay", { from_seq: last - 1 })).body).toEqual({
    tenant: "one",
    from_seq: last - 1,
  });
  await untilTaken(listener, ids.slice(1));
  expect(listener.events).toEqual(ids.slice(1));
  expect([...listener.taken.keys()][0]).toMatch(/^[\w-]+\.2\./);

  const refused = async (body: unknown): Promise<unknown> =>
    (await service.admin("POST", "/tenants/one/replay", body)).body["error"];
  await untilCaughtUp(service, "one");
  expect(await refused({ from_seq: last + 1 })).toContain(`has the number ${last + 1}`);
  expect(await refused({ from_at: Date.now() + 10 ** 9 })).toContain("nothing to give again");
  expect(await refused({})).toContain("from_seq");
  listener.taken.clear();
  expect((await service.admin("POST", "/tenants/one/replay", { from_at: 0 })).body["from_seq"]).toBe(1);
  await untilTaken(listener, ids);
});

test("a tenant that asked has typing and receipts of its rooms, without its own; one that did not ask has none", async () => {
  const { service, room, listener } = await scene({ ephemeral: true });
  const plain = await new TenantListener().listen();
  expect((await (await add(service, "two", plain.url)).client.join(room.id)).status).toBe(200);
  const typing = (users: string[], roomId = room.id): JsonObject => ({
    type: "m.typing",
    room_id: roomId,
    content: { user_ids: users },
  });
  const read = { "@alice:elsewhere.test": { ts: 1 } };
  const receipt = {
    type: "m.receipt",
    room_id: room.id,
    content: { $e: { "m.read": { ...read, [PSEUDOUSER]: { ts: 1 } } } },
  };
  const presence = { type: "m.presence", sender: "@alice:elsewhere.test", content: { presence: "online" } };
  const body = {
    events: [],
    ephemeral: [
      typing(["@alice:elsewhere.test"]),
      receipt,
      presence,
      typing(["@eve:elsewhere.test"], "!other:elsewhere.test"),
    ],
  };
  expect((await service.transaction("ephemeral-1", body)).status).toBe(200);
  const came = await eventually("ephemeral events", () =>
    listener.transactions.find(({ body: { ephemeral } }) => Array.isArray(ephemeral)),
  );
  expect(came.body["ephemeral"]).toEqual([
    typing(["@alice:elsewhere.test"]),
    { ...receipt, content: { $e: { "m.read": read } } },
  ]);
  const ids = say(service, room, 1);
  await untilTaken(plain, ids);
  expect(plain.transactions.filter(({ body: { ephemeral } }) => ephemeral !== undefined)).toEqual([]);
});

test("a ping tells whether a tenant's URL and token are right, and one that is back is not kept waiting", async () => {
  const { service, room, listener, hsToken } = await scene();
  const ping = async (): Promise<JsonObject> => (await service.admin("POST", "/tenants/one/ping")).body;
  expect(await ping()).toEqual({ ok: true, ms: expect.any(Number) as number });
  expect(listener.calls.at(-1)).toMatchObject({
    method: "POST",
    path: "/_matrix/app/v1/ping",
    token: `Bearer ${hsToken}`,
  });
  listener.reply = (response) => response.writeHead(401).end('{"errcode":"M_UNKNOWN_TOKEN"}');
  expect(await ping()).toMatchObject({ ok: false, why: "bad-status", status: 401 });
  listener.reply = (response) => response.writeHead(404).end();
  expect(await ping()).toMatchObject({ sentence: expect.stringContaining("does not know pings") as string });
  listener.reply = () => undefined;
  expect(await ping()).toMatchObject({ ok: false, why: "connection-timeout", status: null });
  listener.reply = take;
  const ids = say(service, room, 1);
  await untilTaken(listener, ids);
  listener.stop();
  expect(await ping()).toMatchObject({ ok: false, why: "connection-failed" });
  expect((await service.admin("POST", "/tenants/nobody/ping")).status).toBe(404);
});

test("new tokens, and a tenant's end, take effect at once", async () => {
  const { service, room, listener, hsToken } = await scene();
  const { body } = await service.admin("POST", "/tenants/one/rotate");
  const ids = say(service, room, 1);
  await untilTaken(listener, ids);
  const registration = body["registration"] as JsonObject;
  expect(registration["hs_token"]).not.toBe(hsToken);
  expect(listener.calls.at(-1)?.token).toBe(`Bearer ${stringAt(registration, "hs_token") ?? ""}`);
  await service.admin("DELETE", "/tenants/one");
  const before = listener.calls.length;
  say(service, room, 1);
  await service.untilDelivered();
  expect(service.query("SELECT * FROM deliveries")).toEqual([]);
  expect(listener.calls).toHaveLength(before);
});

test("nothing of what is delivered, and no token, is in the log", async () => {
  const { service, room, listener, hsToken } = await scene();
  listener.reply = (response, { raw }) => response.writeHead(500).end(JSON.stringify({ errcode: raw, error: raw }));
  const before = listener.transactions.length;
  service.homeserver.say(room, "@creator:elsewhere.test", "a great secret");
  await eventually("two tries", () => listener.transactions.length >= before + 2);
  await eventually("the log", () => service.log.events("warn").includes("tenant.delivery-failed"));
  expect(service.log.text).not.toContain("a great secret");
  expect(service.log.text).not.toContain(hsToken);
  expect(service.log.text).not.toContain("@creator:elsewhere.test");
});

test("the first events of a room that a tenant makes are delivered to it, and nobody else's are held up meanwhile", async () => {
  const { service, client, listener, room } = await scene({ actions: ["read", "send", "create"] });
  const other = await add(service, "two", (await new TenantListener().listen()).url);
  const late = gate();
  service.homeserver.fault("POST", /createRoom/, { waitFor: late.opened });
  const answer = client.ask("POST", "/createRoom", { name: "ours" });
  const made = await eventually(
    "the room",
    async () => [...service.homeserver.rooms.values()].find(({ id }) => id.startsWith("!made")) ?? null,
  );
  // The pseudouser's own membership is no tenant's business.
  const first = made.timeline.filter(({ type }) => type !== "m.room.member").map(({ event_id: id }) => id);
  const between = say(service, room, 1);
  await service.untilDelivered();
  // The homeserver has told all there is to tell of the room before it answers.
  await untilCaughtUp(service, other.client.id);
  late.open();
  expect((await answer).status).toBe(200);
  const later = say(service, made, 1);
  await eventually("the newest", async () => listener.events.includes(later[0]!));
  expect(listener.events.slice(-first.length - 2)).toEqual([...first, ...between, ...later]);
});
