/** Bodies that do not move are cut off, whoever's they are; those at a fair pace are not, however long they take. */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { stringAt } from "../../src/model/json.ts";
import { ADMIN_TOKEN, ask, eventually, startService } from "../support/service-app.ts";
import { halfSent, head, Slow } from "../support/slow.ts";

const MEBIBYTE = 1024 * 1024;

test("half-sent bodies are cut off, and with them what was asked of the homeserver", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const slow = new Slow(service.app.ports.gateway);
  (await slow.send(halfSent("POST", "/_matrix/media/v3/upload", tenant.token))).resume();
  (
    await slow.send(halfSent("PUT", "/_matrix/client/v3/rooms/!x%3Ahs.test/send/m.room.message/1", tenant.token))
  ).resume();
  await eventually("both being cut off", () => slow.open === 0);
  const admin = new Slow(service.app.ports.admin);
  (await admin.send(halfSent("POST", "/_emissary/v1/tenants", ADMIN_TOKEN))).resume();
  await eventually("that of the admin API, too", () => admin.open === 0);
  const { raw } = await ask(service.app.ports.admin, "GET", "/metrics");
  expect(raw.toString()).toMatch(/emissary_cut_off_total\{listener="gateway",body="sent"\} 2/);
});

test("an answer that nobody reads is cut off, and a long poll that has nothing to say is not", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  const since = stringAt((await tenant.ask("GET", "/sync")).body, "next_batch") ?? "";
  const poll = tenant.ask("GET", `/sync?timeout=60000&since=${since}`);
  const slow = new Slow(service.app.ports.gateway);
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/messages?limit=${400 * MEBIBYTE}`;
  await slow.send(head("GET", path, tenant.token));
  const asked = await eventually("the question", () => service.homeserver.seen("GET", /\/messages$/)[0] ?? null);
  await eventually("the answer being broken off", () => asked.aborted);
  expect((await poll).status).toBe(200);
});

test("an upload at a fair pace takes as long as it takes", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const outgoing = request({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    method: "POST",
    path: "/_matrix/media/v3/upload",
    headers: { authorization: `Bearer ${tenant.token}` },
    agent: false,
  });
  // Three windows of the service's hasty clock.
  for (let nr = 0; nr < 45; nr += 1) {
    outgoing.write(Buffer.alloc(16 * 1024));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  outgoing.end();
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  answer.resume();
  expect(answer.statusCode).toBe(200);
});

test("nothing but an alias is asked of other servers for whoever has no token, and nothing for nobody's", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  for (const token of [null, "nobody"]) {
    for (const target of [
      ...(token === null ? [] : ["/_matrix/client/v3/directory/room/%23a%3Aevil.test"]),
      "/_matrix/client/v3/directory/room/%23a%3Aevil.test?via=evil.test",
      "/_matrix/client/v3/publicRooms?server=evil.test",
      "/_matrix/client/v3/profile/%40u%3Aevil.test",
      "/_matrix/client/v1/room_summary/!x%3Aevil.test?via=evil.test",
      "/_matrix/media/v3/download/evil.test/id",
    ]) {
      const { status, body } = await service.gateway("GET", target, { token });
      expect([status, body["errcode"]]).toEqual([401, token === null ? "M_MISSING_TOKEN" : "M_UNKNOWN_TOKEN"]);
    }
  }
  const asked = (): string[] => service.homeserver.requests.map(({ url }) => url).filter((url) => url.includes("evil"));
  expect(asked()).toEqual([]);
  const alias = "/_matrix/client/v3/directory/room/%23a%3Aevil.test";
  await service.gateway("GET", alias, { token: null });
  expect((await service.gateway("PUT", alias, { token: null })).body["errcode"]).toBe("M_MISSING_TOKEN");
  expect(asked()).toEqual([alias]);
});
