/**
 * Deliveries that would stand still: a proxy that takes small transactions only, an event that a tenant fails at. And settings of a
 * tenant that are changed while it runs.
 */
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { ask, eventually, type Service } from "../support/service-app.ts";
import { take, TenantListener, type Reply } from "../support/tenant-listener.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const BOB = "@creator:elsewhere.test";

async function scene(settings: JsonObject = {}) {
  const listener = await new TenantListener().listen();
  const { one: client, ...here } = await tenantsInARoom({ one: { url: listener.url, ...settings } });
  return { ...here, listener, client };
}

function say(service: Service, room: FakeRoom, texts: readonly string[]): string[] {
  return texts.map((text) => service.homeserver.say(room, BOB, text).event_id);
}

async function shown(service: Service): Promise<JsonObject> {
  const { delivery } = (await service.admin("GET", "/tenants/one")).body;
  return isJsonObject(delivery) ? delivery : {};
}

const answer =
  (status: number): Reply =>
  (response) =>
    response.writeHead(status).end();

async function untilTaken(listener: TenantListener, ids: readonly string[]): Promise<void> {
  await eventually("the tenant having taken the events", () => {
    const taken = new Set(listener.events);
    return ids.every((id) => taken.has(id));
  });
}

test("a tenant behind a proxy that takes a megabyte gets 1.5 MB of events in smaller transactions", async () => {
  const { service, room, listener } = await scene();
  listener.reply = (response, call) => (call.raw.length > 1_000_000 ? answer(413) : take)(response, call);
  await service.admin("POST", "/tenants/one/pause");
  const ids = say(
    service,
    room,
    Array.from({ length: 60 }, (_, at) => `${at} ${"x".repeat(25_000)}`),
  );
  await service.untilDelivered();
  await service.admin("POST", "/tenants/one/resume");
  await untilTaken(listener, ids);
  expect(listener.events.filter((id) => ids.includes(id))).toEqual(ids);
  expect((await shown(service))["stuck"]).toBeNull();
});

test("with a size of its own a tenant is never sent more", async () => {
  const { service, room, listener } = await scene({ max_transaction: 100_000 });
  await service.admin("POST", "/tenants/one/pause");
  const ids = say(
    service,
    room,
    Array.from({ length: 40 }, (_, at) => `${at} ${"x".repeat(10_000)}`),
  );
  await service.untilDelivered();
  await service.admin("POST", "/tenants/one/resume");
  await untilTaken(listener, ids);
  for (const { raw } of listener.transactions) expect(raw.length).toBeLessThanOrEqual(100_000);
});

test("one event that a tenant fails at is named everywhere, and when it is skipped all others arrive", async () => {
  const { service, room, listener } = await scene();
  listener.reply = (response, call) => (call.raw.includes("poison") ? answer(500) : take)(response, call);
  const before = say(service, room, ["a", "b"]);
  const [bad = ""] = say(service, room, ["poison"]);
  const after = say(service, room, ["c", "d"]);
  await untilTaken(listener, before);
  await eventually("the event being found", async () => (await shown(service))["stuck"] !== null);
  const stuck = { event_id: bad, room_id: room.id, type: "m.room.message" };
  expect(await shown(service)).toMatchObject({ state: "stuck", stuck });
  const { tenant_deliveries: all } = (await service.admin("GET", "/status")).body;
  expect(all).toMatchObject([{ tenant: "one", state: "stuck", stuck }]);
  expect((await ask(service.app.ports.admin, "GET", "/metrics")).raw.toString()).toContain(
    'emissary_tenant_stuck{tenant="one"} 1',
  );

  const [other = ""] = before;
  const wrong = await service.admin("POST", "/tenants/one/skip", { event_id: other });
  expect([wrong.status, wrong.body["error"]]).toEqual([
    400,
    `The tenant one is stuck at ${bad}, and not at ${JSON.stringify(other)}.`,
  ]);
  expect((await service.admin("POST", "/tenants/one/skip", { event_id: bad })).body).toMatchObject({ skipped: stuck });
  await untilTaken(listener, after);
  expect(listener.events).not.toContain(bad);
  expect(listener.events.filter((id) => [...before, ...after].includes(id))).toEqual([...before, ...after]);
  expect((await shown(service))["state"]).toBe("flowing");
  const { entries } = (await service.admin("GET", "/audit")).body;
  expect(entries).toContainEqual(
    expect.objectContaining({
      action: "tenant.skip",
      room_id: room.id,
      detail: expect.objectContaining({ event_id: bad }) as object,
    }),
  );
  const again = await service.admin("POST", "/tenants/one/skip", { event_id: bad });
  expect([again.status, again.body["error"]]).toEqual([
    400,
    "The tenant one is stuck at no event that could be skipped.",
  ]);
}, 60_000);

test("a tenant that gets another URL keeps its leases and its place, and begins where the old one ended", async () => {
  const { service, room, listener, client } = await scene();
  const first = say(service, room, ["to the old one"]);
  await untilTaken(listener, first);
  listener.reply = answer(503);
  const second = say(service, room, ["to the new one"]);
  await service.untilDelivered();
  const moved = await new TenantListener().listen();
  const { status, body } = await service.admin("POST", "/tenants/one/set", { url: moved.url, ephemeral: true });
  expect([status, body["url"], body["ephemeral"], body["leases"]]).toEqual([200, moved.url, true, 1]);
  await untilTaken(moved, second);
  expect(moved.events).not.toContain(first[0]);
  expect(await client.joinedRooms()).toEqual([room.id]);
  expect((await client.send(room.id, { msgtype: "m.text", body: "still here" })).status).toBe(200);
});

test.each<[JsonObject, string]>([
  [{ max_transaction: 10 }, "max_transaction"],
  [{ ca: "no certificate" }, "ca has no certificate in PEM"],
  [{ users: "(" }, "users"],
  [{ url: "ftp://x" }, "url"],
  [{ sender: "@a:b" }, "sender"],
])("%j is not set, and the tenant stays as it is", async (body, told) => {
  const { service } = await scene();
  const before = (await service.admin("GET", "/tenants/one")).body;
  const refused = await service.admin("POST", "/tenants/one/set", body);
  expect([refused.status, refused.body["error"]]).toEqual([400, expect.stringContaining(told) as string]);
  expect((await service.admin("GET", "/tenants/one")).body).toMatchObject({
    url: before["url"],
    users: null,
    ca: null,
  });
});

test("no tenant is given a namespace that has another's users", async () => {
  const { service } = await scene();
  await service.admin("POST", "/tenants", { id: "two", users: "@_two_.*" });
  const refused = await service.admin("POST", "/tenants/one/set", { users: "@_t.*" });
  expect([refused.status, refused.body["error"]]).toEqual([409, expect.stringContaining("belongs to the tenant two")]);
  expect((await service.admin("GET", "/tenants/one")).body["users"]).toBeNull();
});

test("a tenant whose certificate is from a private authority is given its events once that is named", async () => {
  const { service, room } = await scene();
  const { server, ca } = await privately();
  const taken: string[] = [];
  server.on("request", (request, response) => {
    request.resume().once("end", () => {
      taken.push(request.url ?? "");
      response.writeHead(200).end("{}");
    });
  });
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  await service.admin("POST", "/tenants/one/set", { url });
  say(service, room, ["over TLS"]);
  await eventually("the failure being told", async () =>
    stringAt(await shown(service), "last_error")?.includes("emissary tenant set --ca"),
  );
  expect(taken).toEqual([]);
  await service.admin("POST", "/tenants/one/set", { ca });
  await eventually("the transaction having come", () => taken.some((at) => at.includes("/transactions/")));
});

/** An HTTPS server with a certificate for localhost that an authority of its own has signed. */
async function privately(): Promise<{ readonly server: Server; readonly ca: string }> {
  const file = (name: string): string =>
    readFileSync(new URL(`../support/private-ca/${name}`, import.meta.url), "utf8");
  const server = createServer({ key: file("localhost.key"), cert: file("localhost.pem") });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return { server, ca: file("ca.pem") };
}
