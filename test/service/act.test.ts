/**
 * The Act API: the client-server API for tenants. What a tenant may ask is listed; it goes out as the pseudouser, and one
 * tenant's rooms and events are closed to the others although all of them share one user.
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import { AS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import {
  eventually,
  gate,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type TenantClient,
} from "../support/service-app.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const ROOMS = "/_matrix/client/v3/rooms";
const OWNER = "org.matrix.msc1777.on_behalf_of";
const REASON = "org.matrix.msc1777.reason";

interface Scene {
  readonly service: Service;
  readonly room: FakeRoom;
  readonly one: TenantClient;
  readonly two: TenantClient;
  /** The path of the room below `/_matrix/client/v3`. */
  readonly base: string;
}

const ALL_ACTIONS = ["read", "send", "redact", "state", "room-state"];

/** Two tenants in one room that the ledger knows. */
function scene(room: RoomOptions = {}, settings = {}): Promise<Scene> {
  return tenantsInARoom({ one: { actions: ALL_ACTIONS }, two: { actions: ALL_ACTIONS } }, { room, settings });
}

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

function eventIdOf(answer: Answer): string {
  expect(answer.status).toBe(200);
  return answer.body["event_id"] as string;
}

test("a token is needed, a wrong one is unknown, and a rotated or removed one no longer opens anything", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const whoami = (asked: { token?: string }, query = "") =>
    service.gateway("GET", `/_matrix/client/v3/account/whoami${query}`, asked);
  expect(outcome(await whoami({}))).toEqual([401, "M_MISSING_TOKEN"]);
  expect(outcome(await whoami({ token: "wrong" }))).toEqual([401, "M_UNKNOWN_TOKEN"]);
  // Ours is good at the homeserver, and no tenant's.
  expect(outcome(await whoami({ token: AS_TOKEN }))).toEqual([404, "M_UNRECOGNIZED"]);
  expect((await whoami({ token: tenant.token })).body).toEqual({
    user_id: tenant.sender,
    device_id: "EMISSARY",
    is_guest: false,
  });
  expect((await whoami({}, `?access_token=${tenant.token}`)).status).toBe(200);
  await service.admin("POST", "/tenants/one/rotate");
  expect(outcome(await whoami({ token: tenant.token }))).toEqual([401, "M_UNKNOWN_TOKEN"]);
  const removed = await service.tenant("two");
  await service.admin("DELETE", "/tenants/two");
  expect(outcome(await whoami({ token: removed.token }))).toEqual([401, "M_UNKNOWN_TOKEN"]);
});

test("a tenant without a namespace is its sender; acting as anybody else is refused by name", async () => {
  const { service, one, base } = await scene();
  const asking = (user: string) => one.ask("GET", `${base}/state?user_id=${encodeURIComponent(user)}`);
  expect((await asking(one.sender)).status).toBe(200);
  for (const user of [`@_one_persona:${SERVER}`, PSEUDOUSER, `@alice:${SERVER}`, ""]) {
    expect(outcome(await asking(user))).toEqual([403, "M_FORBIDDEN"]);
  }
  const twice = `${base}/state?user_id=${encodeURIComponent(one.sender)}&user_id=${encodeURIComponent(PSEUDOUSER)}`;
  expect(outcome(await one.ask("GET", twice))).toEqual([400, "M_INVALID_PARAM"]);
  expect(service.homeserver.seen("GET", /state/).map(({ query }) => query.getAll("user_id"))).not.toContainEqual([
    `@_one_persona:${SERVER}`,
  ]);
});

test("every read goes to the homeserver as the pseudouser, and its answer comes back as it is", async () => {
  const { service, room, one, base } = await scene({ name: "Room" });
  const said = service.homeserver.say(room, "@creator:elsewhere.test", "hello");
  const reads = [
    `${base}/joined_members`,
    `${base}/members`,
    `${base}/state`,
    `${base}/state/m.room.name`,
    `${base}/state/m.room.member/${encodeURIComponent("@creator:elsewhere.test")}`,
    `${base}/messages?dir=b&limit=3`,
    `${base}/event/${encodeURIComponent(said.event_id)}`,
    `${base}/context/${encodeURIComponent(said.event_id)}?limit=1`,
  ];
  for (const read of reads) {
    const before = service.homeserver.requests.length;
    const answer = await one.ask("GET", read);
    expect([read, answer.status]).toEqual([read, 200]);
    expect(answer.headers["x-fake"]).toBe("kept");
    const [seen] = service.homeserver.requests.slice(before).filter(({ method }) => method === "GET");
    expect(decodeURIComponent(seen!.path)).toBe(decodeURIComponent(`/_matrix/client/v3${read.split("?")[0] ?? ""}`));
    expect(seen!.query.getAll("user_id")).toEqual([PSEUDOUSER]);
    expect(seen!.headers.authorization).toBe(`Bearer ${AS_TOKEN}`);
  }
  expect((await one.ask("GET", `${base}/state/m.room.name`)).body).toEqual({ name: "Room" });
  const r0 = await service.gateway("GET", `/_matrix/client/r0${base}/state/m.room.name`, { token: one.token });
  expect(r0.body).toEqual({ name: "Room" });
});

test("the tenant's token does not reach the homeserver, in the query or elsewhere", async () => {
  const { service, room, one, base } = await scene();
  await service.gateway("GET", `/_matrix/client/v3${base}/messages?access_token=${one.token}&dir=b`);
  await service.gateway("GET", `${ROOMS}/${encodeURIComponent(room.id)}/state?access%5Ftoken=${one.token}`);
  await one.send(room.id, { body: "x" });
  for (const { url, headers } of service.homeserver.requests) {
    expect(url + JSON.stringify(headers)).not.toContain(one.token);
  }
  expect(service.log.text).not.toContain(one.token);
});

test("a read that carries a body, as some libraries make it, is a read like any other", async () => {
  const { service, one, base } = await scene();
  const answer = await service.gateway("GET", `/_matrix/client/v3${base}/state`, { token: one.token, body: {} });
  expect(answer.status).toBe(200);
});

/**
 * SDKs send their token with /versions, too. It means nothing to the homeserver, and Synapse answers 401 M_UNKNOWN_TOKEN to
 * /versions with a token that it does not know: unmodified bridges would not get past their first request.
 */
test("/versions answers with a tenant's token as it does without one", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  expect((await service.gateway("GET", "/_matrix/client/versions")).body["versions"]).toContain("v1.1");
  const answer = await service.gateway("GET", "/_matrix/client/versions", { token: tenant.token });
  expect(answer.body["versions"]).toContain("v1.1");
});

test("a message is sent as the pseudouser and bears the tenant's mark", async () => {
  const { service, room, one } = await scene();
  const eventId = eventIdOf(await one.send(room.id, { msgtype: "m.text", body: "hello", [OWNER]: "two" }));
  expect(room.event(eventId)).toMatchObject({ sender: PSEUDOUSER, content: { body: "hello", [OWNER]: "one" } });
  const { body } = await service.admin("GET", "/audit?limit=1");
  expect(body["entries"]).toMatchObject([
    { actor: "tenant:one", action: "event.send", outcome: "done", room_id: room.id, detail: { event_id: eventId } },
  ]);
});

test("the same transaction ID is one message of one tenant, and another's of another", async () => {
  const { room, one, two } = await scene();
  const first = eventIdOf(await one.send(room.id, { body: "1" }, { txn: "same" }));
  expect(eventIdOf(await one.send(room.id, { body: "1" }, { txn: "same" }))).toBe(first);
  expect(eventIdOf(await two.send(room.id, { body: "2" }, { txn: "same" }))).not.toBe(first);
});

test("typing and receipts go out as the pseudouser; nobody else can be made to type", async () => {
  const { service, room, one, base } = await scene();
  const { homeserver } = service;
  expect((await one.ask("PUT", `${base}/typing/${encodeURIComponent(one.sender)}`, { typing: true })).status).toBe(200);
  expect(homeserver.requests.at(-1)!.path).toContain(`/typing/${encodeURIComponent(PSEUDOUSER)}`);
  expect(homeserver.requests.at(-1)!.body).toEqual({ typing: true });
  const other = `${base}/typing/${encodeURIComponent(`@alice:${SERVER}`)}`;
  expect(outcome(await one.ask("PUT", other, { typing: true }))).toEqual([403, "M_FORBIDDEN"]);
  const said = homeserver.say(room, "@creator:elsewhere.test", "read me");
  const receipt = `${base}/receipt/m.read/${encodeURIComponent(said.event_id)}`;
  expect((await one.ask("POST", receipt, {})).status).toBe(200);
  expect(homeserver.requests.at(-1)!.query.get("user_id")).toBe(PSEUDOUSER);
});

test.each([
  ["POST", "/logout"],
  ["POST", "/keys/upload"],
  ["POST", "/_matrix/nothing"],
])("%s %s is refused by name", async (method, target) => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const before = service.homeserver.requests.length;
  const answer = await tenant.ask(method, target, method === "GET" ? undefined : {});
  expect(outcome(answer)).toEqual([404, "M_UNRECOGNIZED"]);
  expect(answer.body["error"]).toContain(target);
  expect(service.homeserver.requests.slice(before)).toEqual([]);
});

test("a method that an endpoint does not have is 405; where only tenants have the path, 401 without a token", async () => {
  const { service, one, base } = await scene();
  expect(outcome(await one.ask("DELETE", `${base}/messages`))).toEqual([405, "M_UNRECOGNIZED"]);
  // Users have this path, too, and log out where they are told that their token is not known.
  const users = `/_matrix/client/v3${base}/messages`;
  expect(outcome(await service.gateway("DELETE", users, { token: "token-of-alice" }))).toEqual([405, "M_UNRECOGNIZED"]);
  const tenants = `/_matrix/client/v3${base}/invite`;
  expect(outcome(await service.gateway("DELETE", tenants))).toEqual([401, "M_MISSING_TOKEN"]);
});

test("a tenant without a lease sees nothing of a room that the pseudouser is in for another", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one, two] = [await service.tenant("one", ALL_ACTIONS), await service.tenant("two", ALL_ACTIONS)];
  await one.join(room.id);
  const base = `/rooms/${encodeURIComponent(room.id)}`;
  expect(await one.joinedRooms()).toEqual([room.id]);
  expect(await two.joinedRooms()).toEqual([]);
  const before = service.homeserver.requests.length;
  for (const [method, target] of [
    ["GET", `${base}/state`],
    ["GET", `${base}/messages?dir=b`],
    ["GET", `${base}/members`],
    ["GET", `${base}/joined_members`],
    ["GET", `${base}/event/$e`],
    ["GET", `${base}/context/$e`],
    ["GET", `${base}/state/m.room.name/`],
    ["PUT", `${base}/send/m.room.message/1`],
    ["PUT", `${base}/redact/$e/1`],
    ["PUT", `${base}/state/com.example/x`],
    ["POST", `${base}/receipt/m.read/$e`],
    ["PUT", `${base}/typing/${encodeURIComponent(two.sender)}`],
  ] as const) {
    const answer = await two.ask(method, target, method === "GET" ? undefined : {});
    expect([target, ...outcome(answer)]).toEqual([target, 403, "M_FORBIDDEN"]);
  }
  expect(service.homeserver.requests.slice(before).filter(({ query }) => query.get("dir") === "b")).toEqual([]);
  expect((await two.leave(room.id)).status).toBe(200);
  expect(room.membership(PSEUDOUSER)).toBe("join");
});

test("a tenant does only what it was added for", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [reader, writer] = [await service.tenant("reader", ["read"]), await service.tenant("writer", ["send"])];
  for (const tenant of [reader, writer]) await tenant.join(room.id);
  const base = `/rooms/${encodeURIComponent(room.id)}`;
  expect(outcome(await reader.send(room.id, { body: "x" }))).toEqual([403, "M_FORBIDDEN"]);
  expect(outcome(await writer.ask("GET", `${base}/state`))).toEqual([403, "M_FORBIDDEN"]);
  expect(outcome(await writer.ask("PUT", `${base}/state/com.example/`, {}))).toEqual([403, "M_FORBIDDEN"]);
  expect(outcome(await writer.ask("PUT", `${base}/redact/$e/1`, {}))).toEqual([403, "M_FORBIDDEN"]);
  expect((await writer.send(room.id, { body: "x" })).status).toBe(200);
});

test("an encrypted room takes nothing in the clear but what stands in the clear there", async () => {
  const { room, one } = await scene({ encrypted: true });
  const refused = await one.send(room.id, { body: "secret" });
  expect(outcome(refused)).toEqual([403, "M_FORBIDDEN"]);
  expect(refused.body["error"]).toMatch(/is encrypted.*make a new room without it/);
  expect(refused.body["error"]).not.toContain("m.room.encrypted");
  expect((await one.send(room.id, { ciphertext: "…" }, { type: "m.room.encrypted" })).status).toBe(200);
  const reaction = { "m.relates_to": { rel_type: "m.annotation", event_id: "$e", key: "+" } };
  expect((await one.send(room.id, reaction, { type: "m.reaction" })).status).toBe(200);
  expect(room.timeline.filter(({ type }) => type === "m.room.message")).toEqual([]);
});

test("while the room's state is not yet loaded, whether it is encrypted is asked of the homeserver", async () => {
  const service = await startService();
  const { homeserver } = service;
  const never = gate();
  homeserver.fault("GET", /\/state$/, { waitFor: never.opened }, 10);
  const [plain, encrypted] = [homeserver.makeRoom(), homeserver.makeRoom({ encrypted: true })];
  const tenant = await service.tenant("one");
  for (const room of [plain, encrypted]) await tenant.join(room.id);
  expect(await service.room(encrypted.id)).toMatchObject({ load: "wanted", encryption: null });
  expect((await tenant.send(plain.id, { body: "x" })).status).toBe(200);
  expect(outcome(await tenant.send(encrypted.id, { body: "x" }))).toEqual([403, "M_FORBIDDEN"]);
  homeserver.fault("GET", /m\.room\.encryption/, { status: 500, body: { errcode: "M_UNKNOWN" } });
  expect((await tenant.send(encrypted.id, { body: "x" })).status).toBe(502);
  expect(encrypted.timeline.filter(({ type }) => type === "m.room.message")).toEqual([]);
  never.open();
});

test("a room that becomes encrypted is closed to clear text from then on", async () => {
  const { service, room, one } = await scene();
  expect((await one.send(room.id, { body: "x" })).status).toBe(200);
  service.homeserver.send(room, "@creator:elsewhere.test", "m.room.encryption", { algorithm: "m.megolm.v1" }, "");
  await service.untilDelivered();
  expect(outcome(await one.send(room.id, { body: "x" }))).toEqual([403, "M_FORBIDDEN"]);
});

test("a tenant redacts and edits its own events, and neither another tenant's nor other people's", async () => {
  const { service, room, one, two, base } = await scene();
  const own = eventIdOf(await one.send(room.id, { body: "mine" }));
  const others = eventIdOf(await two.send(room.id, { body: "theirs" }));
  const persons = service.homeserver.say(room, "@creator:elsewhere.test", "a person's").event_id;
  const edit = (eventId: string): JsonObject => ({
    body: "* edited",
    "m.relates_to": { rel_type: "m.replace", event_id: eventId },
  });
  for (const eventId of [others, persons]) {
    expect(outcome(await one.ask("PUT", `${base}/redact/${encodeURIComponent(eventId)}/r`, {}))).toEqual([
      403,
      "M_FORBIDDEN",
    ]);
    expect(outcome(await one.send(room.id, edit(eventId)))).toEqual([403, "M_FORBIDDEN"]);
  }
  expect(outcome(await one.ask("PUT", `${base}/redact/$unknown/r`, {}))).toEqual([404, "M_NOT_FOUND"]);
  expect((await one.send(room.id, edit(own))).status).toBe(200);
  expect((await one.ask("PUT", `${base}/redact/${encodeURIComponent(own)}/r`, { reason: "why" })).status).toBe(200);
  expect(room.event(own)!.content).toEqual({});
  expect(room.event(others)!.content["body"]).toBe("theirs");
});

/**
 * From room version 11 on, `redacts` stands in the content of m.room.redaction, and Synapse takes such an event from `/send`,
 * too: with it a tenant went around the check of `/redact`.
 */
test("a redaction sent like a message does not reach another tenant's event", async () => {
  const { room, one, two } = await scene();
  const others = eventIdOf(await two.send(room.id, { body: "theirs" }));
  const answer = await one.send(room.id, { redacts: others }, { type: "m.room.redaction" });
  expect(outcome(answer)).toEqual([403, "M_FORBIDDEN"]);
  expect(room.event(others)!.content["body"]).toBe("theirs");
});

test("state that one tenant set, another cannot replace; free state anybody may set who may set state", async () => {
  const { room, one, two, base } = await scene();
  const target = `${base}/state/com.example.config/key`;
  eventIdOf(await one.ask("PUT", target, { v: 1 }));
  eventIdOf(await one.ask("PUT", target, { v: 2 }));
  expect(outcome(await two.ask("PUT", target, { v: 3 }))).toEqual([403, "M_FORBIDDEN"]);
  eventIdOf(await two.ask("PUT", `${base}/state/com.example.config/other`, { v: 1 }));
  expect(room.stateEvent("com.example.config", "key")!.content).toEqual({ v: 2, [OWNER]: "one" });
});

/** With `format=event` the homeserver answers the look at the present state with the whole event, not with its content. */
test("a query does not lead around the check of whose state it is", async () => {
  const { room, one, two, base } = await scene();
  eventIdOf(await one.ask("PUT", `${base}/state/com.example.config/key`, { v: 1 }));
  const answer = await two.ask("PUT", `${base}/state/com.example.config/key?format=event`, { v: 2 });
  expect([400, 403]).toContain(answer.status);
  expect(room.stateEvent("com.example.config", "key")!.content["v"]).toBe(1);
});

test("where the homeserver cannot tell whose the state is, it is not replaced", async () => {
  const { service, room, one, two, base } = await scene();
  eventIdOf(await one.ask("PUT", `${base}/state/com.example.config/key`, { v: 1 }));
  service.homeserver.fault("GET", /com\.example\.config/, { status: 500, body: { errcode: "M_UNKNOWN" } });
  const answer = await two.ask("PUT", `${base}/state/com.example.config/key`, { v: 2 });
  expect(answer.status).toBeGreaterThanOrEqual(500);
  expect(room.stateEvent("com.example.config", "key")!.content["v"]).toBe(1);
});

test("the pseudouser's membership is not set as state, nor others' without the right to kick", async () => {
  const { room, one, base } = await scene();
  for (const user of [PSEUDOUSER, `@alice:${SERVER}`]) {
    const target = `${base}/state/m.room.member/${encodeURIComponent(user)}`;
    expect(outcome(await one.ask("PUT", target, { membership: "leave" }))).toEqual([403, "M_FORBIDDEN"]);
  }
  expect(outcome(await one.ask("PUT", `${base}/state/m.room.member`, {}))).toEqual([403, "M_FORBIDDEN"]);
  expect(room.membership(PSEUDOUSER)).toBe("join");
});

/**
 * A proxy between us and the homeserver may resolve dots in paths, as browsers do, and encoded ones, too. What a parameter holds
 * must stay within its place in the path.
 */
test.each([
  ["POST", "receipt/%2e%2e/invite"],
  ["POST", "receipt/../invite"],
  ["POST", "receipt/m.read/%2e%2e%2Finvite"],
  ["POST", "receipt/m.read%2F..%2F..%2Finvite/$e"],
  ["POST", "receipt/%2e%2e/%2e%2e"],
  ["PUT", "send/%2e%2e/1"],
  ["PUT", "send/..%2F..%2Fkick/1"],
  ["PUT", "state/%2e%2e/kick"],
  ["PUT", "state/com.example/%2e%2e"],
  ["PUT", "state/%2E/x"],
  ["PUT", "redact/%2e%2e/1"],
  ["GET", "state/%2e%2e/%2e%2e"],
  ["GET", "event/%2e%2e"],
  ["GET", "event/%2e%2e%2F%2e%2e%2F%2e%2e%2Fsync"],
  ["GET", "context/%2e%2e"],
])("%s /rooms/…/%s reaches no other path of the homeserver", async (method, rest) => {
  const { service, room, one, base } = await scene();
  const before = service.homeserver.requests.length;
  const body = method === "GET" ? undefined : { user_id: "@victim:elsewhere.test", membership: "ban" };
  await one.ask(method, `${base}/${rest}`, body);
  for (const seen of service.homeserver.requests.slice(before)) {
    const read = seen.path.split("/").map((part) => decodeURIComponent(part));
    expect([seen.method, read.slice(0, 5), seen.url]).toEqual([
      seen.method,
      ["", "_matrix", "client", "v3", "rooms"],
      seen.url,
    ]);
    expect([...read.slice(5, 7), seen.url]).toEqual([room.id, rest.split("/")[0], seen.url]);
    expect(read.length).toBeGreaterThanOrEqual(8);
  }
  expect(room.membership("@victim:elsewhere.test")).toBe(null);
});

test.each([
  ["/rooms/%2e%2e/state", 400],
  ["/rooms/nonsense/state", 400],
  ["/rooms/%23alias:elsewhere.test/state", 400],
  ["/rooms/!%zz/state", 400],
])("GET %s is answered with a Matrix error", async (target, status) => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const answer = await tenant.ask("GET", target);
  expect(answer.status).toBe(status);
  expect(answer.body["errcode"]).toEqual(expect.stringMatching(/^M_/));
});

test("bodies that are no JSON object or too large are refused before anything is sent", async () => {
  const { service, room, one, base } = await scene();
  const put = (body: string) =>
    service.gateway("PUT", `/_matrix/client/v3${base}/send/m.room.message/t`, { token: one.token, body });
  expect(outcome(await put("{"))).toEqual([400, "M_NOT_JSON"]);
  expect(outcome(await put("[]"))).toEqual([400, "M_BAD_JSON"]);
  expect(outcome(await put(JSON.stringify({ body: "x".repeat(200_000) })))).toEqual([413, "M_TOO_LARGE"]);
  expect(room.timeline.filter(({ type }) => type === "m.room.message")).toEqual([]);
});

test("the homeserver's refusals come back word for word", async () => {
  const { service, room, one, base } = await scene();
  const body = { errcode: "M_FORBIDDEN", error: "You may not send here", more: ["kept"] };
  service.homeserver.fault("PUT", /\/send\//, { status: 403, body, headers: { "x-why": "2" } });
  const sent = await one.send(room.id, { body: "x" });
  expect([sent.status, sent.body, sent.headers["x-why"]]).toEqual([403, body, "2"]);
  const odd = { errcode: "ORG.EXAMPLE_ODD", error: "odd" };
  service.homeserver.fault("GET", /\/messages/, { status: 418, body: odd });
  const read = await one.ask("GET", `${base}/messages`);
  expect([read.status, read.body]).toEqual([418, odd]);
});

test("a homeserver that is not there, breaks off or talks nonsense is a Matrix error", async () => {
  const { service, room, one, base } = await scene();
  const { homeserver } = service;
  homeserver.fault("PUT", /\/send\//, "close");
  expect(outcome(await one.send(room.id, { body: "x" }))).toEqual([502, "M_UNKNOWN"]);
  homeserver.fault("GET", /\/event\//, { text: "<html>garbage" });
  const redaction = await one.ask("PUT", `${base}/redact/$e/1`, {});
  expect([403, 404, 502]).toContain(redaction.status);
  expect(redaction.body["errcode"]).toEqual(expect.stringMatching(/^M_/));
  await homeserver.shut();
  expect(outcome(await one.ask("GET", `${base}/state`))).toEqual([502, "M_UNKNOWN"]);
  expect(outcome(await one.send(room.id, { body: "x" }))).toEqual([502, "M_UNKNOWN"]);
  await homeserver.listen();
  expect((await one.ask("GET", `${base}/state`)).status).toBe(200);
});

test("a thousand reads at once are all answered, and none with another's answer", async () => {
  const { one, room, base } = await scene();
  for (let n = 0; n < 50; n += 1) room.append("com.example.n", "@creator:elsewhere.test", { n }, `k${n}`);
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => one.ask("GET", `${base}/state/com.example.n/k${n % 50}`)),
  );
  expect(answers.map(({ body }) => body["n"])).toEqual(Array.from({ length: 1_000 }, (_, n) => n % 50));
});

test("a tenant that lost its lease is told why by every request", async () => {
  const { service, room, one } = await scene();
  service.homeserver.setMembership(room, PSEUDOUSER, "leave", "@creator:elsewhere.test");
  await eventually("the kick being known", async () => (await service.room(room.id))["own_membership"] === "leave");
  const answer = await one.send(room.id, { body: "x" });
  expect([...outcome(answer), answer.body[REASON]]).toEqual([403, "M_FORBIDDEN", "kicked"]);
  expect(await one.joinedRooms()).toEqual([]);
});
