/** What SDKs ask besides rooms and events, at start or now and then: each is answered, passed on, or refused with the reason. */
import { expect, test } from "vitest";
import { SERVER } from "../support/fake-homeserver.ts";
import { PSEUDOUSER, startService, type TenantClient } from "../support/service-app.ts";

test.each([
  ["/login", { flows: [] }],
  ["/devices", { devices: [{ device_id: "EMISSARY", display_name: "Emissary" }] }],
  ["/devices/EMISSARY", { device_id: "EMISSARY", display_name: "Emissary" }],
  ["/pushrules/", { global: { override: [], content: [], room: [], sender: [], underride: [] } }],
  ["/notifications", { notifications: [] }],
  ["/voip/turnServer", {}],
])("GET %s is answered here", async (target, body) => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const before = service.homeserver.requests.length;
  const answer = await tenant.ask("GET", target);
  expect([answer.status, answer.body]).toEqual([200, body]);
  expect(service.homeserver.requests.slice(before)).toEqual([]);
});

test.each([
  ["POST", "/keys/upload", "has no keys"],
  ["POST", "/keys/query", "has no keys"],
  ["PUT", "/sendToDevice/m.room.encrypted/1", "has no keys"],
  ["GET", "/room_keys/version", "has no keys"],
  ["POST", "/login", "as_token"],
  ["POST", "/logout", "as_token"],
  ["POST", "/user_directory/search", "pseudouser sees"],
  ["POST", "/knock/!r:elsewhere.test", "invited"],
  ["POST", "/account/deactivate", "all tenants share"],
])("%s %s is refused, and the sentence says why", async (method, target, why) => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const before = service.homeserver.requests.length;
  const { status, body } = await tenant.ask(method, target, method === "GET" ? undefined : {});
  expect([status, body["errcode"]]).toEqual([404, "M_UNRECOGNIZED"]);
  expect(body["error"]).toContain(why);
  expect(body["error"]).toContain(target);
  expect(service.homeserver.requests.slice(before)).toEqual([]);
});

test("capabilities and public rooms are the homeserver's", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  expect((await tenant.ask("GET", "/capabilities")).body["capabilities"]).toHaveProperty("m.room_versions");
  expect((await tenant.ask("GET", "/publicRooms?limit=3")).body["query"]).toContain("limit=3");
  const search = { filter: { generic_search_term: "cats" } };
  expect((await tenant.ask("POST", "/publicRooms", search)).body["filter"]).toEqual(search);
});

test("without a token nobody is led elsewhere", async () => {
  const service = await startService();
  expect((await service.gateway("GET", "/.well-known/matrix/client")).status).toBe(404);
});

test("account data come back to the user that kept them, and to no other tenant, in rooms and elsewhere", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one"), await service.tenant("two")];
  const room = service.homeserver.makeRoom();
  await one.join(room.id);
  const at = ({ sender }: TenantClient, type: string, within = ""): string =>
    `/user/${encodeURIComponent(sender)}${within}/account_data/${type}`;
  const inRoom = `/rooms/${encodeURIComponent(room.id)}`;
  expect((await one.ask("GET", at(one, "m.direct"))).status).toBe(404);
  expect((await one.ask("PUT", at(one, "m.direct"), { a: ["!r"] })).status).toBe(200);
  expect((await one.ask("PUT", at(one, "com.example", inRoom), { b: 1 })).status).toBe(200);
  expect((await one.ask("GET", at(one, "m.direct"))).body).toEqual({ a: ["!r"] });
  expect((await one.ask("GET", at(one, "com.example", inRoom))).body).toEqual({ b: 1 });
  expect((await two.ask("GET", at(two, "m.direct"))).status).toBe(404);
  expect((await two.ask("GET", at(one, "m.direct"))).status).toBe(403);
  expect((await two.ask("GET", at(two, "com.example", inRoom))).status).toBe(404);
  expect((await one.ask("PUT", `/user/${encodeURIComponent(PSEUDOUSER)}/account_data/m.direct`, {})).status).toBe(403);
  expect([...service.homeserver.accountData.keys()].every((key) => key.startsWith(PSEUDOUSER))).toBe(true);
});

test("a ping is of the tenant's own appservice, and one without a URL is told so", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const ping = (id: string) =>
    service.gateway("POST", `/_matrix/client/v1/appservice/${id}/ping`, { token: tenant.token, body: {} });
  const other = await ping("two");
  expect([other.status, other.body["errcode"]]).toEqual([403, "M_FORBIDDEN"]);
  const without = await ping("one");
  expect([without.status, without.body["errcode"]]).toEqual([400, "M_URL_NOT_SET"]);
});

test("a user has no tags in any room", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const target = `/user/${encodeURIComponent(tenant.sender)}/rooms/${encodeURIComponent(`!r:${SERVER}`)}/tags`;
  expect((await tenant.ask("GET", target)).body).toEqual({ tags: {} });
});
