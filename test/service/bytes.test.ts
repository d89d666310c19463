/** What is in an event goes through as it came: numbers that JavaScript cannot hold, keys that stand twice. Both ways, at all surfaces. */
import { expect, test } from "vitest";
import { SERVER } from "../support/fake-homeserver.ts";
import { eventually, PSEUDOUSER } from "../support/service-app.ts";
import { TenantListener } from "../support/tenant-listener.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const EXACT =
  '"big":9007199254740993,"float":1.0,"vast":1e400,"text":"\\u00e9","twice":1,"twice":2,"deep":{"of":[1.0]}';
const ALL = ["read", "send", "redact", "state", "room-state", "create"];
const OWNER = "org.matrix.msc1777.on_behalf_of";

async function scene() {
  const listener = await new TenantListener().listen();
  const one = { url: listener.url, users: `@_one_.*:${SERVER}`, actions: ALL, ephemeral: true };
  return { ...(await tenantsInARoom({ one })), listener };
}

test("from a tenant to the homeserver", async () => {
  const { service, room, one, base } = await scene();
  const { homeserver } = service;
  const target = encodeURIComponent(homeserver.say(room, "@creator:elsewhere.test", "x").event_id);
  const cat = encodeURIComponent(`@_one_cat:${SERVER}`);
  const message = `{"msgtype":"m.text","body":"x", ${EXACT}}`;
  const created = `{"preset":"public_chat","creation_content":{"n":1.0},"initial_state":[{"type":"com.example.x","content":{"n":1.0}}],"power_level_content_override":{"com.example.level":1.0}}`;
  const deeds: readonly (readonly [method: string, target: string, body: string, expected: string])[] = [
    ["PUT", `${base}/send/m.room.message/1`, message, EXACT],
    ["PUT", `${base}/send/m.room.message/2?user_id=${cat}`, message, EXACT],
    ["PUT", `${base}/send/com.example.x/3`, `{${EXACT}}`, EXACT],
    ["PUT", `${base}/state/com.example.x/`, `{${EXACT}}`, EXACT],
    ["PUT", `${base}/state/m.room.topic/`, `{"topic":"x",${EXACT}}`, EXACT],
    ["PUT", `/user/${encodeURIComponent(one.sender)}/account_data/com.example.x`, `{${EXACT}}`, EXACT],
    ["POST", `${base}/receipt/m.read/${target}`, '{"thread_id":1.0}', '"thread_id":1.0'],
    ["POST", "/publicRooms", '{"limit":1.0,"filter":{"a":1e400}}', '{"limit":1.0,"filter":{"a":1e400}}'],
    ["PUT", `${base}/typing/${encodeURIComponent(one.sender)}`, '{"typing":true,"timeout":1.0}', '"timeout":1.0'],
    ["POST", "/createRoom", created, '"creation_content":{"n":1.0,'],
    ["POST", "/createRoom", created, '"content":{"n":1.0'],
    ["POST", "/createRoom", created, '"com.example.level":1.0'],
  ];
  for (const [method, path, body, expected] of deeds) {
    const before = homeserver.requests.length;
    expect([path, (await one.ask(method, path, body)).status]).toEqual([path, 200]);
    const sent = homeserver.requests.slice(before).map(({ text }) => text);
    expect([path, sent.some((text) => text.includes(expected))]).toEqual([path, true]);
  }
});

test("what decides whose an event is, and what it does, goes out once", async () => {
  const { service, room, one, base } = await scene();
  const theirs = service.homeserver.say(room, PSEUDOUSER, "another tenant's").event_id;
  const twice = [
    `{"m.relates_to":{"rel_type":"m.replace","event_id":"${theirs}"},"m.relates_to":{"rel_type":"m.annotation","event_id":"$x","key":"y"}}`,
    `{"m.relates_to":{"rel_type":"m.replace","rel_type":"m.annotation","event_id":"${theirs}","key":"y"}}`,
    `{"${OWNER}":"m.replace","a":1}`,
    `{"x":{"${OWNER}":"m.replace"},"x":1}`,
    `{"x":{"y":{"org.m\\u0061trix.msc1777.on_behalf_of":"m.replace"},"y":1}}`,
  ];
  for (const [at, body] of twice.entries()) {
    expect((await one.ask("PUT", `${base}/send/com.example.x/${at}`, body)).status).toBe(200);
    expect(service.homeserver.seen("PUT", /\/send\//).at(-1)!.text).not.toContain("m.replace");
  }
});

test("from the homeserver to a tenant's URL and its /sync", async () => {
  const { service, room, one, listener, base } = await scene();
  const since = (await one.ask("GET", "/sync")).body["next_batch"] as string;
  const event = (id: string, sender: string, more = "") =>
    `{"event_id":"$${id}","room_id":"${room.id}","type":"com.example.x","sender":"${sender}","origin_server_ts":1,"content":{${EXACT}${more}}}`;
  const alice = "@alice:elsewhere.test";
  const mine = `,"${OWNER}":"one","org.matrix.msc1777.persona":"@_one_cat:${SERVER}"`;
  const receipt = `{"type":"m.receipt","room_id":"${room.id}","content":{"$a":{"m.read":{"${alice}":{"ts":1.0},"${PSEUDOUSER}":{"ts":2}}}}}`;
  expect((await service.transaction("x1", `{ "events": [${event("a", alice)}] }`)).status).toBe(200);
  expect(
    (await service.transaction("x2", `{"events":[${event("a", alice)},${event("b", PSEUDOUSER, mine)}]}`)).status,
  ).toBe(200);
  expect(
    (await service.transaction("x3", `{"events":[${event("c", alice)}, 7],"ephemeral":[${receipt}]}`)).status,
  ).toBe(200);
  await eventually("delivery", () => listener.events.includes("$c"));
  const delivered = listener.transactions.map(({ raw }) => raw).join("");
  const synced = (await one.ask("GET", `/sync?since=${since}`)).raw.toString();
  for (const told of [delivered, synced]) {
    expect(told.split(EXACT)).toHaveLength(4);
    expect(told).toContain(`"sender":"@_one_cat:${SERVER}"`);
    expect(told).not.toContain(OWNER);
  }
  await eventually("the receipt", () => listener.transactions.some(({ raw }) => raw.includes('{"ts":1.0}')));
  expect(base).not.toBe("");
});

test("from a room's state to a first /sync", async () => {
  const { service, room, one } = await scene();
  const common = `"room_id":"${room.id}","sender":"@alice:x","origin_server_ts":1,"state_key":""`;
  const create = `{"event_id":"$create","type":"m.room.create",${common},"content":{}}`;
  const exact = `{"event_id":"$exact","type":"com.example.x",${common},"content":{${EXACT}}}`;
  service.homeserver.fault("GET", /\/state$/, { text: `[${create}, ${exact}]` });
  const synced = (await one.ask("GET", "/sync?full_state=true")).raw.toString();
  expect(synced).toContain(EXACT);
});

test("from a membership to a /sync that loads members as it needs them", async () => {
  const { service, room, one } = await scene();
  const alice = "@creator:elsewhere.test";
  const since = (await one.ask("GET", "/sync")).body["next_batch"] as string;
  const common = `"room_id":"${room.id}","sender":"${alice}","origin_server_ts":1,"state_key":"${alice}"`;
  const member = `{"event_id":"$member","type":"m.room.member",${common},"content":{"membership":"join",${EXACT}}}`;
  service.homeserver.fault("GET", /\/event\//, { text: member });
  service.homeserver.say(room, alice, "hello");
  await service.untilDelivered();
  const filter = encodeURIComponent('{"room":{"state":{"lazy_load_members":true}}}');
  const synced = (await one.ask("GET", `/sync?since=${since}&filter=${filter}`)).raw.toString();
  expect(synced).toContain(EXACT);
});

test("from the homeserver's answers to a tenant's reads", async () => {
  const { service, room, one, base } = await scene();
  const mark = `"${OWNER}":"one"`;
  const event = `{"event_id":"$a","type":"com.example.x","sender":"${PSEUDOUSER}","content":{${EXACT},${mark}},"unsigned":{"age":1.0}}`;
  const reply = `{"event_id":"$b","type":"m.room.message","sender":"@alice:x","content":{${EXACT},"m.relates_to":{"m.in_reply_to":{"event_id":"$a"}}}}`;
  const levels = `{"users":{"${PSEUDOUSER}":100},"com.example.level":1.0,${EXACT}}`;
  const reads: readonly (readonly [path: string, text: string])[] = [
    [`${base}/messages?dir=b`, `{"chunk":[${event},${reply}],"start":"1"}`],
    [`${base}/event/$a`, event],
    [`${base}/context/$a`, `{"event":${event},"state":[]}`],
    [`${base}/state`, `[${event}]`],
    [`${base}/state/com.example.x/`, `{${EXACT},${mark}}`],
    [`${base}/state/m.room.power_levels/`, levels],
    [`${base}/members`, `{"chunk":[{"type":"m.room.member","state_key":"@alice:x","content":{${EXACT}}}]}`],
    [`${base}/threads`, `{"chunk":[${event}]}`],
    [`${base}/relations/$a`, `{"chunk":[${event}]}`],
    [
      `${base}/hierarchy`,
      `{"rooms":[{"room_id":"${room.id}",${EXACT},"join_rule":"public","children_state":[${event}]},{"room_id":"!hidden","join_rule":"invite"}]}`,
    ],
    [
      `/room_summary/${encodeURIComponent(room.id)}?via=x`,
      `{"membership":"join","join_rule":"public","world_readable":true,${EXACT}}`,
    ],
  ];
  const other = await service.tenant("other", ["read"]);
  for (const [path, text] of reads) {
    const v1 = /threads|relations|hierarchy|room_summary/.test(path) ? "v1" : "v3";
    service.homeserver.fault("GET", new RegExp(`/${path.split(/[/?]/).at(path.startsWith("/rooms") ? 3 : 1)}`), {
      text,
    });
    const { token } = path.startsWith("/room_summary") ? other : one;
    const answer = await service.gateway("GET", `/_matrix/client/${v1}${path}`, { token });
    const told = answer.raw.toString();
    expect([path, answer.status, told.includes(EXACT)]).toEqual([path, 200, true]);
    expect([path, told.includes(OWNER)]).toEqual([path, false]);
  }
});
