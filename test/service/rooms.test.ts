/**
 * Rooms that tenants make: the pseudouser is their maker at the homeserver, and the tenant has what a room's maker has, in its own
 * rooms and in no other's.
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
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

const OWNER = "org.matrix.msc1777.on_behalf_of";
const PERSONA = "org.matrix.msc1777.persona";
const LEVELS = "org.matrix.msc1777.persona_levels";
const ALICE = `@alice:${SERVER}`;
const MAKER = ["read", "send", "create"];

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

function base(room: FakeRoom | string): string {
  return `/rooms/${encodeURIComponent(typeof room === "string" ? room : room.id)}`;
}

async function made(service: Service, tenant: TenantClient, body: JsonObject, query = ""): Promise<FakeRoom> {
  const answer = await tenant.ask("POST", `/createRoom${query}`, body);
  expect([answer.status, answer.body]).toEqual([200, { room_id: expect.any(String) as unknown }]);
  return service.homeserver.rooms.get(answer.body["room_id"] as string)!;
}

test("a tenant makes a private room, which bears its mark, and is in it at once", async () => {
  const service = await startService();
  const one = await service.tenant("one", MAKER);
  const room = await made(service, one, { name: "ours", invite: [ALICE], is_direct: true });
  expect(room.stateEvent("m.room.create")!.content).toMatchObject({ [OWNER]: "one" });
  expect(room.users("join")).toEqual([PSEUDOUSER]);
  expect(room.users("invite")).toEqual([ALICE]);
  expect(await one.joinedRooms()).toEqual([room.id]);
  expect((await one.send(room.id, { body: "hello" })).status).toBe(200);
  const { body } = await service.admin("GET", "/audit?limit=20");
  expect(body["entries"]).toContainEqual(
    expect.objectContaining({ actor: "tenant:one", action: "room.create", outcome: "done", room_id: room.id }),
  );
});

test("in its own room a tenant may do what a room's maker may; what it may elsewhere does not change", async () => {
  const service = await startService();
  const [one, two] = [
    await service.tenant("one", MAKER),
    await service.tenant("two", [...MAKER, "room-state", "state"]),
  ];
  const room = await made(service, one, { preset: "public_chat" });
  expect((await one.ask("PUT", `${base(room)}/state/m.room.topic/`, { topic: "mine" })).status).toBe(200);
  expect((await two.join(room.id)).status).toBe(200);
  expect(outcome(await two.ask("PUT", `${base(room)}/state/m.room.name/`, { name: "x" }))).toEqual([
    403,
    "M_FORBIDDEN",
  ]);
  const theirs = service.homeserver.makeRoom();
  expect((await one.join(theirs.id)).status).toBe(200);
  expect(outcome(await one.ask("PUT", `${base(theirs)}/state/m.room.topic/`, {}))).toEqual([403, "M_FORBIDDEN"]);
});

test("a tenant that left its private room may come back, and nobody else's tenant may come in", async () => {
  const service = await startService({ settings: { attendance: { linger: 600_000 } } });
  const [one, two] = [await service.tenant("one", MAKER), await service.tenant("two", MAKER)];
  const room = await made(service, one, {});
  expect(outcome(await two.join(room.id))).toEqual([403, "M_FORBIDDEN"]);
  await one.leave(room.id);
  expect((await one.join(room.id)).status).toBe(200);
});

test("whoever may not make rooms makes none", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  expect(outcome(await tenant.ask("POST", "/createRoom", {}))).toEqual([403, "M_FORBIDDEN"]);
  expect(service.homeserver.seen("POST", /createRoom/)).toEqual([]);
});

test("where there may be no more rooms, none is made", async () => {
  const service = await startService({ settings: { policy: { maxRooms: 1 } } });
  const one = await service.tenant("one", MAKER);
  await made(service, one, {});
  const refused = await one.ask("POST", "/createRoom", {});
  expect([refused.status, refused.body["org.matrix.msc1777.reason"]]).toEqual([403, "room-cap"]);
  expect(service.homeserver.seen("POST", /createRoom/)).toHaveLength(1);
  const { body } = await service.admin("GET", "/audit?limit=1");
  expect(body["entries"]).toMatchObject([{ action: "room.create", outcome: "room-cap" }]);
});

test("a tenant's own users are not invited, and the power they were to have is the pseudouser's", async () => {
  const service = await startService();
  const one = await service.tenant("one", MAKER);
  const room = await made(service, one, {
    invite: [one.sender, ALICE],
    power_level_content_override: { users: { [one.sender]: 90, [ALICE]: 50 }, events_default: 10 },
  });
  expect(room.users("invite")).toEqual([ALICE]);
  expect(room.stateEvent("m.room.power_levels")!.content).toEqual({
    users: { [PSEUDOUSER]: 90, [ALICE]: 50 },
    events_default: 10,
    [OWNER]: "one",
  });
});

test("in a room version in which makers have no level, none is given", async () => {
  const service = await startService();
  const one = await service.tenant("one", MAKER);
  const users = { [one.sender]: 100, [ALICE]: 50 };
  const room = await made(service, one, { room_version: "12", power_level_content_override: { users } });
  expect(room.stateEvent("m.room.power_levels")!.content).toEqual({
    users: { [ALICE]: 50 },
    [LEVELS]: { one: { [one.sender]: 100 } },
    [OWNER]: "one",
  });
});

test("a room's first state is the tenant's; memberships are not part of it", async () => {
  const service = await startService();
  const one = await service.tenant("one", MAKER);
  const room = await made(service, one, {
    creation_content: { [OWNER]: "two", [PERSONA]: ALICE, "m.federate": false },
    initial_state: [{ type: "com.example.bridge", state_key: "k", content: { v: 1, [OWNER]: "two" } }],
  });
  expect(room.stateEvent("m.room.create")!.content).toEqual({
    "m.federate": false,
    room_version: "11",
    [OWNER]: "one",
  });
  expect(room.stateEvent("com.example.bridge", "k")!.content).toEqual({ v: 1, [OWNER]: "one" });
  const member = { type: "m.room.member", state_key: ALICE, content: { membership: "join" } };
  expect(outcome(await one.ask("POST", "/createRoom", { initial_state: [member] }))).toEqual([403, "M_FORBIDDEN"]);
});

/** The homeserver tells us of the new room in transactions, which may come before its answer, and with it nobody holds the room. */
test.each([
  ["at once", 0, 0],
  ["after a moment", 100, 600],
])(
  "a room that is just being made is not left %s, however late the homeserver answers",
  async (_when, linger, lateMs) => {
    const service = await startService({ settings: { attendance: { linger } } });
    const { homeserver } = service;
    const one = await service.tenant("one", MAKER);
    const late = gate();
    homeserver.fault("POST", /createRoom/, { waitFor: late.opened });
    const answer = one.ask("POST", "/createRoom", {});
    const room = await eventually("the room", () => [...homeserver.rooms.values()][0]);
    await service.untilDelivered();
    await service.untilRoom(room.id, { own_membership: "join" });
    await new Promise((resolve) => setTimeout(resolve, lateMs));
    late.open();
    expect((await answer).status).toBe(200);
    expect(homeserver.seen("POST", /leave$/)).toEqual([]);
    expect((await one.send(room.id, { body: "x" })).status).toBe(200);
  },
);

test("an upgrade moves the tenant, and the new room is its own like the old one", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one", MAKER), await service.tenant("two", MAKER)];
  const room = await made(service, one, {});
  expect(outcome(await two.ask("POST", `${base(room)}/upgrade`, { new_version: "12" }))).toEqual([403, "M_FORBIDDEN"]);
  const { status, body } = await one.ask("POST", `${base(room)}/upgrade`, { new_version: "12" });
  expect(status).toBe(200);
  const replacement = body["replacement_room"] as string;
  expect((await one.send(replacement, { body: "x" })).status).toBe(200);
  expect(await one.joinedRooms()).toEqual([replacement]);
  expect((await one.ask("PUT", `${base(replacement)}/state/m.room.topic/`, { topic: "still mine" })).status).toBe(200);
});

test("a tenant names a room that it is in, and takes its own name away again", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one", MAKER), await service.tenant("two", MAKER)];
  const room = await made(service, one, { preset: "public_chat", room_alias_name: "first" });
  await two.join(room.id);
  const alias = (name: string, server = SERVER): string =>
    `/directory/room/${encodeURIComponent(`#${name}:${server}`)}`;
  expect(outcome(await one.ask("PUT", alias("x", "elsewhere.test"), { room_id: room.id }))).toEqual([
    400,
    "M_INVALID_PARAM",
  ]);
  expect((await one.ask("PUT", alias("second"), { room_id: room.id })).status).toBe(200);
  expect((await two.ask("PUT", alias("third"), { room_id: room.id })).status).toBe(200);
  expect((await two.ask("GET", alias("second"))).body["room_id"]).toBe(room.id);
  for (const name of ["first", "second"]) {
    expect(outcome(await two.ask("DELETE", alias(name)))).toEqual([403, "M_FORBIDDEN"]);
  }
  expect(outcome(await one.ask("DELETE", alias("third")))).toEqual([403, "M_FORBIDDEN"]);
  for (const name of ["first", "second"]) expect((await one.ask("DELETE", alias(name))).status).toBe(200);
  expect([...service.homeserver.aliases.keys()]).toEqual([`#third:${SERVER}`]);
});

test("a room in which a tenant is not gets no name from it", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one", MAKER), await service.tenant("two", MAKER)];
  const room = await made(service, one, {});
  const alias = `/directory/room/${encodeURIComponent(`#x:${SERVER}`)}`;
  expect(outcome(await two.ask("PUT", alias, { room_id: room.id }))).toEqual([403, "M_FORBIDDEN"]);
  expect(service.homeserver.aliases.size).toBe(0);
});

test("of a private room that the pseudouser is in for another tenant, a summary tells nothing", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one", MAKER), await service.tenant("two", MAKER)];
  const [hidden, open] = [await made(service, one, {}), await made(service, one, { preset: "public_chat" })];
  const summary = (tenant: TenantClient, room: FakeRoom) =>
    service.gateway("GET", `/_matrix/client/v1/room_summary/${encodeURIComponent(room.id)}?via=${SERVER}`, {
      token: tenant.token,
    });
  await service.untilRoom(hidden.id, { load: "loaded" });
  await service.untilRoom(open.id, { load: "loaded" });
  expect((await summary(one, hidden)).status).toBe(200);
  expect(outcome(await summary(two, hidden))).toEqual([404, "M_NOT_FOUND"]);
  expect((await summary(two, open)).status).toBe(200);
});

test("a name that is not reserved is refused, and the homeserver, which would give us any, is not asked", async () => {
  const service = await startService({ settings: { registration: { reservedAliases: ["#bot_"] } } });
  const one = await service.tenant("one", MAKER);
  const room = await made(service, one, { room_alias_name: "bot_1" });
  const put = (name: string) =>
    one.ask("PUT", `/directory/room/${encodeURIComponent(`#${name}:${SERVER}`)}`, { room_id: room.id });
  const asked = (): number => service.homeserver.seen("POST", /createRoom/).length;
  const before = asked();
  for (const answer of [await put("x"), await one.ask("POST", "/createRoom", { room_alias_name: "x" })]) {
    expect(outcome(answer)).toEqual([400, "M_EXCLUSIVE"]);
    expect(answer.body["error"]).toMatch(/#x:hs\.test is not.*--reserve '#…'/);
  }
  expect((await put("bot_2")).status).toBe(200);
  expect(asked()).toBe(before);
  expect([...service.homeserver.aliases.keys()]).not.toContain(`#x:${SERVER}`);
});

test("a name that the homeserver keeps for others is refused with what the operator can do", async () => {
  const service = await startService();
  const one = await service.tenant("one", MAKER);
  const room = await made(service, one, {});
  const exclusive = { status: 400, body: { errcode: "M_EXCLUSIVE", error: "Invalid" } };
  service.homeserver.fault("PUT", /directory/, exclusive);
  service.homeserver.fault("POST", /createRoom/, exclusive);
  const alias = `/directory/room/${encodeURIComponent(`#x:${SERVER}`)}`;
  for (const answer of [
    await one.ask("PUT", alias, { room_id: room.id }),
    await one.ask("POST", "/createRoom", { room_alias_name: "x" }),
  ]) {
    expect(outcome(answer)).toEqual([400, "M_EXCLUSIVE"]);
    expect(answer.body["error"]).toMatch(/#x:hs\.test.*emissary register --force --reserve '#…'/);
  }
  const { body } = await service.admin("GET", "/audit?limit=2");
  expect(body["entries"]).toMatchObject([
    { action: "room.create", outcome: "M_EXCLUSIVE" },
    { action: "alias.set", outcome: "M_EXCLUSIVE" },
  ]);
});

/** What is left of a room that a tenant was not given: nothing that is in its way, or that somebody holds. */
async function nothingIsLeft({ homeserver }: Service, again: Service, one: TenantClient): Promise<void> {
  await eventually("the alias being free", () => homeserver.aliases.size === 0);
  const [room] = [...homeserver.rooms.values()];
  await eventually("the room being left", () => room!.users("join").length === 0);
  expect(await one.joinedRooms()).toEqual([]);
  expect(again.query("SELECT * FROM room_makings")).toEqual([]);
  const another = await made(again, one, { room_alias_name: "lounge", preset: "public_chat" });
  expect([homeserver.aliases.get(`#lounge:${SERVER}`), await one.joinedRooms()]).toEqual([another.id, [another.id]]);
}

test.each([
  ["the homeserver's answer is lost", "POST", /createRoom/, { cutAfter: 0 }],
  ["the tenant does not get into the room", "GET", /state\/m\.room\.create/, "close"],
] as const)("where %s, nothing is left of the room", async (_what, method, path, fault) => {
  const service = await startService();
  const one = await service.tenant("one", MAKER);
  const end = service.homeserver.fault(method, path, fault, 1_000);
  const answer = await one.ask("POST", "/createRoom", { room_alias_name: "lounge", preset: "public_chat" });
  end();
  expect(answer.status).toBeGreaterThanOrEqual(500);
  await nothingIsLeft(service, service, one);
});

test.each([
  ["the homeserver's answer comes", "POST", /createRoom/],
  ["it is known whom the room is for", "GET", /state\/m\.room\.create/],
  ["it is known that the pseudouser is in", "GET", /state\/m\.room\.member/],
] as const)("where Emissary ends before %s, the next start leaves nothing of the room", async (_what, method, path) => {
  const service = await startService();
  const { homeserver } = service;
  const one = await service.tenant("one", MAKER);
  const late = gate();
  const end = homeserver.fault(method, path, { waitFor: late.opened }, 1_000);
  const asked = one.ask("POST", "/createRoom", { room_alias_name: "lounge", preset: "public_chat" }).catch(() => null);
  await eventually("the room", () => homeserver.seen(method, path).length > 0 && homeserver.rooms.size > 0);
  await service.app.stop();
  end();
  late.open();
  await asked;
  const again = await startService({ homeserver, sqlite: service.config.storage.sqlite });
  await nothingIsLeft(service, again, one.at(again));
});

test("where policy refuses the room once it is there, nothing is left of it", async () => {
  const service = await startService({ settings: { policy: { denyRooms: ["!made*"] } } });
  const one = await service.tenant("one", MAKER);
  const answer = await one.ask("POST", "/createRoom", { room_alias_name: "lounge" });
  expect([answer.status, answer.body["org.matrix.msc1777.reason"]]).toEqual([403, "denied"]);
  const [room] = [...service.homeserver.rooms.values()];
  expect([service.homeserver.aliases.size, await one.joinedRooms()]).toEqual([0, []]);
  await eventually("the room being left", () => room!.users("join").length === 0);
  expect(service.query("SELECT * FROM room_makings")).toEqual([]);
});

test("an alias that was there before stays where it is, whoever asks for a room with it", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one", MAKER), await service.tenant("two", MAKER)];
  const room = await made(service, one, { room_alias_name: "lounge" });
  for (const tenant of [one, two]) {
    expect(outcome(await tenant.ask("POST", "/createRoom", { room_alias_name: "lounge" }))).toEqual([
      400,
      "M_ROOM_IN_USE",
    ]);
  }
  expect([service.homeserver.aliases.get(`#lounge:${SERVER}`), await one.joinedRooms()]).toEqual([room.id, [room.id]]);
});
