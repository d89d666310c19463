/**
 * All tenants send as one user, whom homeservers and clients let change whatever it sent. What one tenant may not do to another's events,
 * rooms and users by one call it may not do by any other either.
 */
import { expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
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

const OWNER = "org.matrix.msc1777.on_behalf_of";
const LEVELS = "org.matrix.msc1777.persona_levels";
const PROFILE = "com.beeper.per_message_profile";
const ACTIONS = ["read", "send", "redact", "state", "room-state", "invite", "kick", "ban", "create"];
const GHOST = `@_two_ghost:${SERVER}`;

interface Scene {
  readonly service: Service;
  readonly room: FakeRoom;
  readonly one: TenantClient;
  readonly two: TenantClient;
  readonly base: string;
  /** A message of the second tenant's, which the first one is after. */
  readonly theirs: string;
}

async function scene(): Promise<Scene> {
  const here = await tenantsInARoom(
    { one: { actions: ACTIONS, users: "@_one_.*" }, two: { actions: ACTIONS, users: "@_two_.*" } },
    { room: { members: ["@remote:elsewhere.test"] } },
  );
  const theirs = eventIdOf(await here.two.send(here.room.id, { msgtype: "m.text", body: "theirs" }));
  return { ...here, theirs };
}

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

function eventIdOf(answer: Answer): string {
  expect(answer.status).toBe(200);
  return answer.body["event_id"] as string;
}

const FORBIDDEN = [403, "M_FORBIDDEN"];

test.each<[string, string, (theirs: string) => JsonObject]>([
  ["an edit as state", "state/m.room.message/k", (id) => ({ "m.relates_to": { rel_type: "m.replace", event_id: id } })],
  [
    "an edit as other state",
    "state/com.example/k",
    (id) => ({ "m.relates_to": { rel_type: "m.replace", event_id: id } }),
  ],
  ["a redaction as state", "state/m.room.redaction/k", (id) => ({ redacts: id })],
  [
    "an edit in a list",
    "send/m.room.message/t",
    (id) => ({ "m.relations": [{ rel_type: "m.replace", event_id: id }] }),
  ],
  [
    "an edit in an edit",
    "send/m.room.message/t",
    (id) => ({ "m.new_content": { "m.relates_to": { rel_type: "m.replace", event_id: id } } }),
  ],
  [
    "the end of its poll",
    "send/org.matrix.msc3381.poll.end/t",
    (id) => ({ "m.relates_to": { rel_type: "m.reference", event_id: id } }),
  ],
  ["its place on a map", "send/m.beacon/t", (id) => ({ "m.relates_to": { rel_type: "m.reference", event_id: id } })],
  ["a relation of a new kind", "send/com.example/t", (id) => ({ "m.relates_to": { rel_type: "org.x", event_id: id } })],
  ["an invite by address", "state/m.room.third_party_invite/k", () => ({ key_validity_url: "http://internal.host" })],
])("another tenant's message does not get %s", async (_what, path, contentOf) => {
  const { room, one, base, theirs } = await scene();
  const before = room.timeline.length;
  expect(outcome(await one.ask("PUT", `${base}/${path}`, contentOf(theirs)))).toEqual(FORBIDDEN);
  expect(room.timeline.length).toBe(before);
});

test("what is harmless to a message goes out, whoever's it is", async () => {
  const { room, one, base, theirs } = await scene();
  for (const [type, relation] of [
    ["m.reaction", { rel_type: "m.annotation", event_id: theirs, key: "+" }],
    ["m.room.message", { rel_type: "m.thread", event_id: theirs, is_falling_back: true }],
    ["m.room.message", { "m.in_reply_to": { event_id: theirs } }],
  ] as const) {
    const answer = await one.ask("PUT", `${base}/send/${type}/${JSON.stringify(relation).length}`, {
      msgtype: "m.text",
      body: "x",
      "m.relates_to": relation,
    });
    expect(room.event(eventIdOf(answer))!.content["m.relates_to"]).toEqual(relation);
  }
});

test("a redaction takes along what it names, and nothing that relates to it", async () => {
  const { service, one, base, room } = await scene();
  const own = eventIdOf(await one.send(room.id, { msgtype: "m.text", body: "mine" }));
  const body = { reason: "spam", "org.matrix.msc3912.with_relations": ["*"], with_rel_types: ["*"] };
  const answer = await one.ask("PUT", `${base}/redact/${encodeURIComponent(own)}/t`, body);
  expect(answer.status).toBe(200);
  expect(service.homeserver.seen("PUT", /redact/).map((seen) => seen.body)).toEqual([
    { reason: "spam", [OWNER]: "one" },
  ]);
});

test("a room that is made carries the marks of its maker only, wherever others stand", async () => {
  const { service, one } = await scene();
  const forged = { [OWNER]: "two", deep: [{ [OWNER]: "two" }] };
  const answer = await one.ask("POST", "/createRoom", {
    creation_content: forged,
    power_level_content_override: { ...forged, [LEVELS]: { two: { [GHOST]: 100 } } },
    initial_state: [{ type: "com.example", state_key: "", content: forged }],
  });
  expect(answer.status).toBe(200);
  const [seen] = service.homeserver.seen("POST", /createRoom/);
  expect(JSON.stringify(seen!.body)).not.toContain('"two"');
  expect(seen!.body).toMatchObject({
    creation_content: { [OWNER]: "one", deep: [{}] },
    power_level_content_override: { [OWNER]: "one" },
  });
  const state = seen!.body["initial_state"] as JsonObject[];
  expect(state.map(({ type }) => type)).toContain("com.example");
  for (const { content } of state) expect(content).toMatchObject({ [OWNER]: "one" });
});

test.each<[string, JsonObject, unknown[]]>([
  ["e-mail addresses", { invite_3pid: [{ medium: "email", address: "a@b", id_server: "internal.host" }] }, FORBIDDEN],
  ["another tenant's users", { invite: [GHOST] }, FORBIDDEN],
  ["another tenant's users, as keys", { invite: { [GHOST]: 1 } }, [400, "M_BAD_JSON"]],
  ["another tenant's users, as creators", { creation_content: { additional_creators: [GHOST] } }, FORBIDDEN],
])("no room is made that invites %s", async (_what, body, refusal) => {
  const { service, one } = await scene();
  const answer = await one.ask("POST", "/createRoom", body);
  expect(outcome(answer)).toEqual(refusal);
  expect(answer.body["error"]).not.toMatch(/tenant two|another tenant/);
  expect(service.homeserver.seen("POST", /createRoom/)).toEqual([]);
});

test("another tenant's user is invited and removed by no call, and nothing is told of whose it is", async () => {
  const { service, one, base } = await scene();
  for (const what of ["invite", "kick", "ban", "unban"]) {
    const answer = await one.ask("POST", `${base}/${what}`, { user_id: GHOST });
    expect(outcome(answer)).toEqual(FORBIDDEN);
    expect(answer.body["error"]).not.toMatch(/two'|tenant two|another tenant/);
  }
  expect(service.homeserver.seen("POST", /(invite|kick|ban)$/)).toEqual([]);
});

test("a message's own profile shows its name, and is nobody else's", async () => {
  const { room, one } = await scene();
  for (const key of [PROFILE, "m.per_message_profile"]) {
    const profile = { id: GHOST, displayname: "Ghost", avatar_url: "mxc://a/b", [OWNER]: "two" };
    const sent = eventIdOf(await one.send(room.id, { msgtype: "m.text", body: "boo", [key]: profile }));
    expect(room.event(sent)!.content[key]).toEqual({
      id: `one~${GHOST}`,
      displayname: "Ghost",
      avatar_url: "mxc://a/b",
    });
    const { body } = await one.ask("GET", `/rooms/${encodeURIComponent(room.id)}/event/${encodeURIComponent(sent)}`);
    expect((body["content"] as JsonObject)[key]).toMatchObject({ id: GHOST, displayname: "Ghost" });
  }
});

test.each<[string, string, JsonObject, JsonObject]>([
  ["POST", "receipt/m.fully_read/$e", { thread_id: "main", "com.beeper.allow_backward": true }, { thread_id: "main" }],
  ["POST", "read_markers", { "m.read": "$e", "com.beeper.allow_backward": true }, { "m.read": "$e" }],
  ["PUT", `typing/${encodeURIComponent(`@_emissary_one:${SERVER}`)}`, { typing: true, x: 1 }, { typing: true }],
])("%s %s says what is known, and no more", async (method, path, body, known) => {
  const { service, one, base } = await scene();
  expect((await one.ask(method, `${base}/${path}`, body)).status).toBe(200);
  expect(service.homeserver.requests.at(-1)!.body).toEqual(known);
});

function reserve(service: Service, { token }: TenantClient): Promise<Answer> {
  return service.gateway("POST", "/_matrix/media/v1/create", { token, body: {} });
}

test("an upload that one tenant reserved is no other's, also after a restart", async () => {
  const { service, one, two } = await scene();
  const { homeserver } = service;
  const uri = stringAt((await reserve(service, two)).body, "content_uri") ?? "";
  const path = `/_matrix/media/v3/upload/${uri.slice("mxc://".length)}`;
  const upload = (at: Service, { token }: TenantClient, target = path) =>
    at.gateway("PUT", target, { token, body: "bytes" });
  const refused = await upload(service, one);
  const unknown = await upload(service, one, path.replace(/[^/]+$/, "never-given"));
  expect([outcome(refused), outcome(unknown)]).toEqual([FORBIDDEN, FORBIDDEN]);
  const sentence = (answer: Answer): string => (stringAt(answer.body, "error") ?? "").replace(/address \S+/, "");
  expect(sentence(refused)).toBe(sentence(unknown));
  expect(outcome(await upload(service, two, path.replace(SERVER, "elsewhere.test")))).toEqual(FORBIDDEN);
  expect(homeserver.seen("PUT", /upload/)).toEqual([]);
  await service.app.stop();
  const second = await startService({ homeserver, sqlite: service.config.storage.sqlite });
  expect(outcome(await upload(second, one))).toEqual(FORBIDDEN);
  expect((await upload(second, two)).status).toBe(200);
  await eventually("the end of the reservation", async () => (await upload(second, two)).status === 403);
});

test("what a tenant reserves and does not use has a bound, which is its own", async () => {
  const { service, one, two } = await scene();
  service.homeserver.fault("POST", /create$/, { status: 200, body: { content_uri: `mxc://${SERVER}/given` } }, 1);
  expect((await reserve(service, one)).status).toBe(200);
  expect(service.query("SELECT tenant FROM media_reservations")).toEqual([{ tenant: "one" }]);
  service.homeserver.fault("POST", /create$/, { status: 200, body: { content_uri: "nonsense" } }, 1);
  expect(outcome(await reserve(service, two))).toEqual([502, "M_UNKNOWN"]);
});

const ALIAS = `#x:${SERVER}`;
const ALIAS_PATH = `/directory/room/${encodeURIComponent(ALIAS)}`;

test("no alias is made whose maker cannot be noted", async () => {
  const { service, one, room } = await scene();
  service.homeserver.fault("PUT", /account_data/, { status: 500, body: { errcode: "M_UNKNOWN" } });
  expect(outcome(await one.ask("PUT", ALIAS_PATH, { room_id: room.id }))).toEqual([502, "M_UNKNOWN"]);
  expect(service.homeserver.aliases.size).toBe(0);
  expect((await one.ask("PUT", ALIAS_PATH, { room_id: room.id })).status).toBe(200);
  expect((await one.ask("DELETE", ALIAS_PATH)).status).toBe(200);
});

test("an alias that was made just before Emissary ended is its maker's, who may ask again, and no other's", async () => {
  const { service, one, two, room } = await scene();
  const { homeserver } = service;
  const never = gate();
  homeserver.fault("PUT", /directory/, { waitFor: never.opened });
  void one.ask("PUT", ALIAS_PATH, { room_id: room.id }).catch(() => undefined);
  await eventually("the alias", () => homeserver.aliases.has(ALIAS));
  await service.app.stop();
  never.open();
  const second = await startService({ homeserver, sqlite: service.config.storage.sqlite });
  expect(outcome(await two.at(second).ask("PUT", ALIAS_PATH, { room_id: room.id }))).toEqual([409, "M_UNKNOWN"]);
  expect(outcome(await two.at(second).ask("DELETE", ALIAS_PATH))).toEqual(FORBIDDEN);
  expect((await one.at(second).ask("PUT", ALIAS_PATH, { room_id: room.id })).status).toBe(200);
  expect((await one.at(second).ask("DELETE", ALIAS_PATH)).status).toBe(200);
  expect(homeserver.aliases.size).toBe(0);
});

test("a note that was left behind says nothing of an alias that somebody makes for another room", async () => {
  const { service, one, room } = await scene();
  service.homeserver.fault("PUT", /directory/, { status: 502, body: { errcode: "M_UNKNOWN" } });
  expect((await one.ask("PUT", ALIAS_PATH, { room_id: room.id })).status).toBe(502);
  const other = service.homeserver.makeRoom({ members: ["@remote:elsewhere.test"] });
  expect((await one.join(other.id)).status).toBe(200);
  service.homeserver.aliases.set(ALIAS, other.id);
  expect(outcome(await one.ask("DELETE", ALIAS_PATH))).toEqual(FORBIDDEN);
});

test("account data in which we note something are no tenant's to write", async () => {
  const { service, one } = await scene();
  const type = encodeURIComponent(`org.matrix.msc1777.alias:${ALIAS}`);
  const path = `/user/${encodeURIComponent(one.sender)}/account_data/${type}`;
  expect((await one.ask("PUT", path, { [OWNER]: "one" })).status).toBe(200);
  const [key] = [...service.homeserver.accountData.keys()];
  expect(key).toContain(`org.matrix.msc1777.tenant:one:_emissary_one:org.matrix.msc1777.alias:`);
  expect(
    outcome(await one.ask("PUT", path.replace(encodeURIComponent(one.sender), encodeURIComponent(PSEUDOUSER)), {})),
  ).toEqual(FORBIDDEN);
});

test.each([
  ["the same expression", "@_two_.*"],
  ["one within it", "@_two_ghost.*"],
  ["one around it", "@_t.*"],
  ["one that has a user whom the other registered", "@(_two_anna|_three_.*)"],
])("a tenant is not added with %s", async (_what, users) => {
  const { service, two } = await scene();
  await two.ask(
    "PUT",
    `/profile/${encodeURIComponent(`@_two_anna:${SERVER}`)}/displayname?user_id=${encodeURIComponent(`@_two_anna:${SERVER}`)}`,
    { displayname: "Anna" },
  );
  const answer = await service.admin("POST", "/tenants", { id: "three", users });
  expect([answer.status, answer.body["errcode"]]).toEqual([409, "M_BAD_STATE"]);
  expect(answer.body["error"]).toMatch(/@_two_\w*:hs\.test, which belongs to the tenant two/);
});

test("where it cannot be told whether namespaces overlap both are told of, and a user stays with who was first", async () => {
  const { service, two } = await scene();
  const { status, body } = await service.admin("POST", "/tenants", { id: "three", users: "@_(two|three)_q7.*" });
  expect(status).toBe(200);
  const { tenant, registration } = body;
  if (!isJsonObject(tenant) || !isJsonObject(registration)) throw new Error(JSON.stringify(body));
  expect(tenant["overlaps"]).toContainEqual({ tenant: "two", user_id: null, theirs: true });
  const shown = await service.admin("GET", "/tenants/two");
  expect(shown.body["overlaps"]).toEqual([{ tenant: "three", user_id: null, theirs: false }]);
  const shared = `@_two_q7:${SERVER}`;
  const whoami = (token: string, user: string) =>
    service.gateway("GET", `/_matrix/client/v3/account/whoami?user_id=${encodeURIComponent(user)}`, { token });
  const token = stringAt(registration, "as_token") ?? "";
  expect((await whoami(two.token, shared)).status).toBe(200);
  expect(outcome(await whoami(token, shared))).toEqual(FORBIDDEN);
  expect((await whoami(token, `@_three_q7:${SERVER}`)).status).toBe(200);
});
