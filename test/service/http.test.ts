/** What every HTTP client may expect of the client-server API: HEAD, CORS, and parameters that nobody knows. */
import { request as httpRequest } from "node:http";
import { expect, test } from "vitest";
import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { ask, type Answer } from "../support/service-app.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const CLIENT = "/_matrix/client/v3";

function scene(settings = {}) {
  const one = { actions: ["read", "send", "redact", "state"] };
  return tenantsInARoom({ one }, { settings, room: { name: "Room" } });
}

const outcome = ({ status, body }: Answer): unknown[] => [status, body["errcode"]];

test("HEAD is answered where GET is, with its headers and without a body", async () => {
  const { service, one, base } = await scene();
  const paths = [
    "/account/whoami",
    `${base}/state`,
    `${base}/state/m.room.name`,
    `${base}/messages?dir=b`,
    "/joined_rooms",
    "/sync",
  ];
  for (const path of paths) {
    const [get, head] = [await one.ask("GET", path), await one.ask("HEAD", path)];
    expect([path, head.status, head.raw.length]).toEqual([path, 200, 0]);
    expect(head.headers["content-type"]).toBe(get.headers["content-type"]);
  }
  expect((await one.ask("HEAD", `${base}/invite`)).status).toBe(405);
  expect((await one.ask("HEAD", "/nothing")).status).toBe(404);
  expect((await service.gateway("HEAD", "/_matrix/client/versions")).status).toBe(200);
  expect((await service.gateway("HEAD", `${CLIENT}/account/whoami`)).status).toBe(401);
  expect((await ask(service.app.ports.admin, "HEAD", "/health")).status).toBe(200);
});

test.each([true, false])("CORS is on every answer, whoever gives it (front door: %s)", async (frontDoor) => {
  const { service, one, base } = await scene({ gateway: { frontDoor } });
  const { token } = one;
  const asked: readonly (readonly [method: string, path: string, token: string | null, body?: string])[] = [
    ["GET", `${CLIENT}/account/whoami`, token],
    ["GET", `${CLIENT}/account/whoami`, null],
    ["GET", `${CLIENT}/account/whoami`, "wrong"],
    ["GET", `${CLIENT}${base}/state`, token],
    ["GET", `${CLIENT}${base}/event/$none`, token],
    ["PUT", `${CLIENT}${base}/send/m.room.message/1`, token, "{"],
    ["PUT", `${CLIENT}${base}/send/m.room.message/1`, token, `"${"x".repeat(200_000)}"`],
    ["PATCH", `${CLIENT}/account/whoami`, token],
    ["GET", `${CLIENT}/nothing`, token],
    ["GET", `${CLIENT}/nothing`, null],
    ["GET", "/_synapse/admin/v1/rooms", null],
    ["GET", `${CLIENT}//state`, token],
    ["GET", `${CLIENT}/rooms/%ff/state`, token],
    ["GET", `${CLIENT}/rooms/%/state`, token],
    ["GET", "/.well-known/matrix/client", null],
    ["OPTIONS", `${CLIENT}/account/whoami`, null],
    ["OPTIONS", `${CLIENT}${base}/send/m.room.message/1`, null],
    ["OPTIONS", `${CLIENT}/nothing`, null],
    ["GET", `${CLIENT}${base}/initialSync`, "token-of-alice"],
    ["GET", `${CLIENT}/sync`, "token-of-alice"],
    ["HEAD", `${CLIENT}/joined_rooms`, token],
  ];
  for (const [method, path, by, body] of asked) {
    const { headers } = await service.gateway(method, path, { token: by, ...(body === undefined ? {} : { body }) });
    expect([method, path, headers["access-control-allow-origin"]]).toEqual([method, path, "*"]);
    expect([method, path, headers["access-control-allow-headers"]]).toEqual([
      method,
      path,
      expect.stringContaining("Authorization"),
    ]);
  }
  for (const path of [`${CLIENT}/account/whoami`, `${CLIENT}${base}/send/m.room.message/1`]) {
    expect((await service.gateway("OPTIONS", path)).status).toBe(204);
  }
});

test("a request that is no HTTP leaves the gateway as it was", async () => {
  const { service, one } = await scene();
  await new Promise<void>((resolve) => {
    const sent = httpRequest({
      host: "127.0.0.1",
      port: service.app.ports.gateway,
      headers: { "x-long": "y".repeat(20_000) },
    });
    sent
      .once("response", () => resolve())
      .once("error", () => resolve())
      .end();
  });
  expect((await one.ask("GET", "/account/whoami")).status).toBe(200);
});

test("query parameters that nobody knows are ignored by every endpoint, and do not go on", async () => {
  const { service, room, one } = await scene();
  const before = service.homeserver.requests.length;
  for (const { method, path, under = [CLIENT] } of ENDPOINTS) {
    const filled = path.replaceAll(/:(\w+)/g, (_all, name: string) =>
      encodeURIComponent(name === "roomId" ? room.id : "x"),
    );
    const query = "cachebuster=1&org.example.unknown=%00&device_id=X&org.matrix.msc3202.device_id=X";
    const { body } = await service.gateway(method, `${under[0]!}${filled}?${query}`, { token: one.token, body: "{}" });
    expect([method, path, JSON.stringify(body)]).not.toEqual([
      method,
      path,
      expect.stringContaining("not for tenants to set"),
    ]);
  }
  for (const { url } of service.homeserver.requests.slice(before))
    expect(url).not.toMatch(/cachebuster|org\.example|device_id=X/);
});

test.each(["ts=1", "org.matrix.msc4140.delay=1", "delay=1", "org.matrix.msc4354.sticky_duration_ms=1"])(
  "a write that %s would make another one is refused by name",
  async (query) => {
    const { one, base } = await scene();
    const answer = await one.ask("PUT", `${base}/redact/$x/1?${query}`, {});
    expect(outcome(answer)).toEqual([400, "M_INVALID_PARAM"]);
    expect(answer.body["error"]).toContain(query.split("=")[0]);
    expect((await one.ask("GET", `${base}/messages?dir=b&${query}`)).status).toBe(200);
  },
);

test.each([
  ["GET", "/rooms/x/state"],
  ["POST", "/join/x"],
  ["GET", "/sync?timeout=soon"],
  ["GET", "/register/available"],
  ["PUT", "/rooms/!r:x/redact/x/1"],
])("a parameter that is none is M_INVALID_PARAM: %s %s", async (method, path) => {
  const { one, room } = await scene();
  const at = path.replace("!r:x", encodeURIComponent(room.id));
  const answer = await one.ask(method, at, method === "GET" ? undefined : {});
  expect([path, ...outcome(answer)]).toEqual([path, 400, "M_INVALID_PARAM"]);
});
