/**
 * Echo: whatever a tenant reads, its own events are its users' again, with the content that they sent, so that a bridge knows them
 * for its own. Everybody else, and every other tenant, sees the pseudouser.
 */
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { PSEUDOUSER, type Answer, type Service, type TenantClient } from "../support/service-app.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const OWNER = "org.matrix.msc1777.on_behalf_of";
const PERSONA = "org.matrix.msc1777.persona";
const PROFILE = "com.beeper.per_message_profile";
const CAT = `@_one_cat:${SERVER}`;
const CREATOR = "@creator:elsewhere.test";
const ACTIONS = ["read", "send", "redact", "state"];
const HTML: JsonObject = {
  msgtype: "m.text",
  body: "meow",
  format: "org.matrix.custom.html",
  formatted_body: "<b>meow</b>",
};

interface Scene {
  readonly service: Service;
  readonly room: FakeRoom;
  readonly one: TenantClient;
  readonly cat: TenantClient;
  readonly two: TenantClient;
  readonly base: string;
}

/** Two tenants in one room; the first has a persona there. */
async function scene(): Promise<Scene> {
  const here = await tenantsInARoom(
    { one: { actions: ACTIONS, users: `@_one_.*:${SERVER}` }, two: { actions: ACTIONS } },
    { room: { alias: "#room:hs.test" } },
  );
  const cat = here.one.as(CAT);
  expect((await cat.join(here.room.id)).status).toBe(200);
  return { ...here, cat };
}

async function sent(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  expect(status).toBe(200);
  return body["event_id"] as string;
}

/** Every event that stands somewhere in an answer and has this ID. */
function eventsIn(value: JsonValue | undefined, eventId: string): JsonObject[] {
  if (Array.isArray(value)) return value.flatMap((one) => eventsIn(one, eventId));
  if (!isJsonObject(value)) return [];
  const inner = Object.values(value).flatMap((one) => eventsIn(one, eventId));
  return value["event_id"] === eventId && "sender" in value ? [value, ...inner] : inner;
}

const jsonOf = (answer: Answer): JsonValue => JSON.parse(answer.raw.toString("utf8")) as JsonValue;

test("a persona's message comes back to its tenant as it was sent, in whatever it reads, and to nobody else", async () => {
  const { service, room, one, cat, two, base } = await scene();
  const root = service.homeserver.say(room, CREATOR, "here?").event_id;
  const content = { ...HTML, "m.relates_to": { rel_type: "m.thread", event_id: root } };
  const eventId = await sent(cat.send(room.id, content));
  expect(room.event(eventId)).toMatchObject({ sender: PSEUDOUSER, content: { [OWNER]: "one", [PERSONA]: CAT } });
  const id = encodeURIComponent(eventId);
  const v1 = (tenant: TenantClient, rest: string) =>
    service.gateway("GET", `/_matrix/client/v1${base}${rest}`, { token: tenant.token });
  const reads: readonly [string, (tenant: TenantClient) => Promise<Answer>][] = [
    ["event", (tenant) => tenant.ask("GET", `${base}/event/${id}`)],
    ["messages", (tenant) => tenant.ask("GET", `${base}/messages?dir=b&limit=5`)],
    ["context", (tenant) => tenant.ask("GET", `${base}/context/${id}`)],
    ["context of another", (tenant) => tenant.ask("GET", `${base}/context/${encodeURIComponent(root)}`)],
    ["relations", (tenant) => v1(tenant, `/relations/${encodeURIComponent(root)}?recurse=true&limit=5`)],
    ["one relation", (tenant) => v1(tenant, `/relations/${encodeURIComponent(root)}/m.thread?dir=b`)],
    ["one type", (tenant) => v1(tenant, `/relations/${encodeURIComponent(root)}/m.thread/m.room.message`)],
    ["threads", (tenant) => v1(tenant, "/threads?include=all&limit=5")],
  ];
  for (const [what, read] of reads) {
    const answer = await read(one);
    expect([what, answer.status, answer.headers["x-fake"]]).toEqual([what, 200, "kept"]);
    const seen = eventsIn(jsonOf(answer), eventId);
    expect([what, seen.length]).toEqual([what, 1]);
    expect([what, seen[0]]).toEqual([what, { ...room.event(eventId), sender: CAT, content }]);
    expect([what, eventsIn(jsonOf(await read(two)), eventId)]).toEqual([what, [room.event(eventId)]]);
  }
});

test("state comes back as it was set, whole and alone", async () => {
  const { room, one, two, base } = await scene();
  const set = { topic: "cats" };
  const eventId = await sent(one.ask("PUT", `${base}/state/com.example.topic/key`, set));
  expect(room.event(eventId)!.content).toEqual({ ...set, [OWNER]: "one" });
  const target = `${base}/state/com.example.topic/key`;
  expect((await one.ask("GET", target)).body).toEqual(set);
  expect((await two.ask("GET", target)).body).toEqual({ ...set, [OWNER]: "one" });
  expect((await one.ask("GET", `${target}?format=event`)).body).toMatchObject({ sender: one.sender, content: set });
  const [whole] = eventsIn(jsonOf(await one.ask("GET", `${base}/state`)), eventId);
  expect(whole).toMatchObject({ sender: one.sender, content: set });
  expect(eventsIn(jsonOf(await two.ask("GET", `${base}/state`)), eventId)).toEqual([room.event(eventId)]);
});

test("marks that others write into their events change nothing of them", async () => {
  const { service, room, one, base } = await scene();
  const forged = { msgtype: "m.text", body: "I am the cat", [OWNER]: "one", [PERSONA]: CAT, [PROFILE]: { id: CAT } };
  const { event_id } = service.homeserver.send(room, CREATOR, "m.room.message", forged);
  const answer = await one.ask("GET", `${base}/event/${encodeURIComponent(event_id)}`);
  expect(answer.body).toEqual(room.event(event_id));
});

test("a redacted event is nobody's", async () => {
  const { room, one, cat, base } = await scene();
  const eventId = await sent(cat.send(room.id, HTML));
  await sent(cat.ask("PUT", `${base}/redact/${encodeURIComponent(eventId)}/r`, { reason: "why" }));
  const { body } = await one.ask("GET", `${base}/event/${encodeURIComponent(eventId)}`);
  expect(body).toMatchObject({ sender: PSEUDOUSER, content: {} });
  const [redaction] = (await one.ask("GET", `${base}/messages?limit=1`)).body["chunk"] as JsonObject[];
  expect(redaction).toMatchObject({ type: "m.room.redaction", sender: CAT, content: { reason: "why" } });
});

test("an answer without anybody's marks passes byte for byte, be it JSON or not", async () => {
  const { service, one, base } = await scene();
  const odd = '{ "chunk":[ {"a":1.0,"a":12345678901234567890} ] }';
  service.homeserver.fault("GET", /\/messages$/, { text: odd });
  expect((await one.ask("GET", `${base}/messages`)).raw.toString("utf8")).toBe(odd);
  const garbage = `{"chunk": ${OWNER}`;
  service.homeserver.fault("GET", /\/messages$/, { text: garbage });
  expect((await one.ask("GET", `${base}/messages`)).raw.toString("utf8")).toBe(garbage);
  const deep = `{"${OWNER}":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
  service.homeserver.fault("GET", /\/messages$/, { text: deep });
  expect((await one.ask("GET", `${base}/messages`)).raw.toString("utf8")).toBe(deep);
});

test("the homeserver is not asked for a compressed answer, which could not be looked through", async () => {
  const { service, one, base } = await scene();
  const target = `/_matrix/client/v3${base}/messages`;
  await service.gateway("GET", target, { token: one.token, headers: { "accept-encoding": "gzip, br" } });
  expect(service.homeserver.seen("GET", /\/messages$/).at(-1)!.headers["accept-encoding"]).toBeUndefined();
});

test("an answer of more than 16 MiB passes as it is", async () => {
  const { room, cat, one, base } = await scene();
  const eventId = await sent(cat.send(room.id, HTML));
  for (let nr = 0; nr < 17; nr += 1) room.append("com.example.large", CREATOR, { a: "x".repeat(1024 * 1024) });
  const answer = await one.ask("GET", `${base}/messages?limit=100`);
  expect(answer.raw.length).toBeGreaterThan(17 * 1024 * 1024);
  expect(eventsIn(jsonOf(answer), eventId)).toEqual([room.event(eventId)]);
});

test("other reads of a room pass, each with the parameters that the specification has for it and no others", async () => {
  const { service, room, one, two, base } = await scene();
  const v1 = (rest: string) => service.gateway("GET", `/_matrix/client/v1${base}${rest}`, { token: one.token });
  const { event_id, origin_server_ts } = service.homeserver.say(room, CREATOR, "now");
  expect((await v1(`/timestamp_to_event?ts=${origin_server_ts}&dir=f`)).body).toEqual({ event_id });
  expect((await one.ask("GET", `${base}/aliases`)).body).toEqual({ aliases: ["#room:hs.test"] });
  for (const [rest, unknown] of [
    ["/threads?ts=5", "ts"],
    ["/timestamp_to_event?ts=5&user=x", "user"],
    ["/hierarchy?ts=5", "ts"],
    ["/relations/$e?include=all", "include"],
  ] as const) {
    expect([rest, (await v1(rest)).status]).toEqual([rest, 200]);
    expect([rest, service.homeserver.requests.at(-1)?.query.has(unknown)]).toEqual([rest, false]);
  }
  expect((await one.ask("GET", `${base}/threads`)).status).toBe(404);
  expect((await two.leave(room.id)).status).toBe(200);
  const before = service.homeserver.requests.length;
  for (const rest of [
    "/threads",
    "/hierarchy",
    "/timestamp_to_event?ts=5",
    "/relations/$e",
    "/relations/$e/m.thread",
  ]) {
    const answer = await service.gateway("GET", `/_matrix/client/v1${base}${rest}`, { token: two.token });
    expect([rest, answer.status, answer.body["errcode"]]).toEqual([rest, 403, "M_FORBIDDEN"]);
  }
  expect(service.homeserver.requests.slice(before).filter(({ path }) => path.includes("/v1/"))).toEqual([]);
});

test("reading needs the right to read, here, too", async () => {
  const { service, room } = await scene();
  const writer = await service.tenant("writer", ["send"]);
  await writer.join(room.id);
  for (const rest of ["/threads", "/hierarchy", "/timestamp_to_event?ts=5", "/relations/$e"]) {
    const target = `/_matrix/client/v1/rooms/${encodeURIComponent(room.id)}${rest}`;
    expect([rest, (await service.gateway("GET", target, { token: writer.token })).status]).toEqual([rest, 403]);
  }
});

// The homeserver tells the pseudouser of all rooms that it is in, and it is in private ones for other tenants.
test("a space shows a tenant public rooms and its own, and not the private rooms of other tenants", async () => {
  const { service, room, one, base } = await scene();
  const open = service.homeserver.makeRoom();
  const secrets = [
    service.homeserver.makeRoom({ joinRule: "invite" }),
    service.homeserver.makeRoom({ joinRule: "invite" }),
  ];
  for (const child of [open, ...secrets]) {
    service.homeserver.send(room, CREATOR, "m.space.child", { via: ["elsewhere.test"] }, child.id);
  }
  for (const secret of secrets) service.homeserver.setMembership(secret, PSEUDOUSER, "join");
  const roomsSeen = async (): Promise<unknown[]> => {
    const target = `/_matrix/client/v1${base}/hierarchy?limit=10`;
    const { status, body } = await service.gateway("GET", target, { token: one.token });
    expect(status).toBe(200);
    return (body["rooms"] as JsonObject[]).map(({ room_id }) => room_id);
  };
  expect(await roomsSeen()).toEqual([room.id, open.id]);
});

test("what a tenant put into a space comes back as its own", async () => {
  const { service, room, one, base } = await scene();
  room.append("m.space.child", PSEUDOUSER, { via: ["hs.test"], [OWNER]: "one" }, "!child:hs.test");
  const target = `/_matrix/client/v1${base}/hierarchy`;
  const [space] = (await service.gateway("GET", target, { token: one.token })).body["rooms"] as JsonObject[];
  expect(space!["children_state"]).toMatchObject([{ sender: one.sender, content: { via: ["hs.test"] } }]);
  service.homeserver.fault("GET", /\/hierarchy$/, { text: "garbage" });
  expect((await service.gateway("GET", target, { token: one.token })).status).toBe(502);
});
