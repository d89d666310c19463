/**
 * Power levels: libraries compare them themselves before they ask. In the room it is the pseudouser that has power; to a tenant it is
 * its sender, and those of its personas that the tenant gave some.
 */
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { PSEUDOUSER, startService, type Service, type TenantClient } from "../support/service-app.ts";

const OWNER = "org.matrix.msc1777.on_behalf_of";
const LEVELS = "org.matrix.msc1777.persona_levels";
const TYPE = "m.room.power_levels";
const CREATOR = "@creator:elsewhere.test";
const CAT = `@_one_cat:${SERVER}`;
const ACTIONS = ["read", "send", "room-state", "create"];

/** One tenant with a persona, and another, in a room whose maker has given the pseudouser a level. */
async function scene(level = 50): Promise<{
  readonly service: Service;
  readonly room: FakeRoom;
  readonly one: TenantClient;
  readonly two: TenantClient;
  readonly base: string;
}> {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const one = await service.tenant("one", ACTIONS, `@_one_.*:${SERVER}`);
  const two = await service.tenant("two", ACTIONS);
  for (const tenant of [one, two]) expect((await tenant.join(room.id)).status).toBe(200);
  const content = { users: { [CREATOR]: 100, [PSEUDOUSER]: level }, ban: 60 };
  service.homeserver.send(room, CREATOR, TYPE, content, "");
  await service.untilDelivered();
  return { service, room, one, two, base: `/rooms/${encodeURIComponent(room.id)}` };
}

/** The users of all power levels that stand somewhere in an answer. */
function usersIn(value: JsonValue | undefined): JsonValue[] {
  if (Array.isArray(value)) return value.flatMap((one) => usersIn(one));
  if (!isJsonObject(value)) return [];
  const content = value["content"];
  if (value["type"] === TYPE && isJsonObject(content)) return [content["users"] ?? null];
  return Object.values(value).flatMap((one) => usersIn(one));
}

test("in whatever a tenant reads, its sender has the pseudouser's level, whoever gave it that", async () => {
  const { room, one, two, base } = await scene();
  const { event_id: eventId } = room.stateEvent(TYPE)!;
  const reads = [
    "/sync",
    `${base}/state`,
    `${base}/state/${TYPE}/?format=event`,
    `${base}/messages?dir=b&limit=5`,
    `${base}/event/${encodeURIComponent(eventId)}`,
    `${base}/context/${encodeURIComponent(eventId)}`,
  ];
  for (const tenant of [one, two]) {
    const users = { [CREATOR]: 100, [tenant.sender]: 50 };
    for (const path of reads) {
      const { raw } = await tenant.ask("GET", path);
      const found = usersIn(JSON.parse(raw.toString("utf8")) as JsonValue);
      expect([path, found[0]]).toEqual([path, users]);
    }
    expect((await tenant.ask("GET", `${base}/state/${TYPE}`)).body).toEqual({ users, ban: 60 });
    expect((await tenant.ask("GET", `${base}/state/${TYPE}/`)).body).toEqual({ users, ban: 60 });
  }
});

test("power levels come in with events that others send, too", async () => {
  const { service, room, one } = await scene();
  const { body } = await one.ask("GET", "/sync");
  service.homeserver.send(room, CREATOR, TYPE, { users: { [PSEUDOUSER]: 70 } }, "");
  await service.untilDelivered();
  const later = await one.ask("GET", `/sync?since=${body["next_batch"] as string}`);
  expect(usersIn(later.body)).toEqual([{ [one.sender]: 70 }]);
});

test("what a tenant reads and writes back changes nothing in the room but whose it is", async () => {
  const { room, one, base } = await scene();
  const before = room.stateEvent(TYPE)!.content;
  const { body } = await one.ask("GET", `${base}/state/${TYPE}/`);
  expect((await one.ask("PUT", `${base}/state/${TYPE}/`, body)).status).toBe(200);
  expect(room.stateEvent(TYPE)!.content).toEqual({ ...before, [OWNER]: "one" });
});

test("a persona that is given a level has it for the tenant, and is not among the room's users", async () => {
  const { room, one, two, base } = await scene(100);
  const users = { [CREATOR]: 100, [one.sender]: 100, [CAT]: 50 };
  expect((await one.ask("PUT", `${base}/state/${TYPE}`, { users })).status).toBe(200);
  expect(room.stateEvent(TYPE)!.content).toEqual({
    users: { [CREATOR]: 100, [PSEUDOUSER]: 100 },
    [OWNER]: "one",
    [LEVELS]: { one: { [CAT]: 50 } },
  });
  expect((await one.as(CAT).ask("GET", `${base}/state/${TYPE}`)).body).toEqual({ users });
  const seen = (await two.ask("GET", `${base}/state/${TYPE}`)).body;
  expect(seen["users"]).toEqual({ [CREATOR]: 100, [two.sender]: 100 });
  expect(seen[LEVELS]).toBeUndefined();
});

test("a tenant that says nothing of itself takes no power from the pseudouser", async () => {
  const { room, one, base } = await scene();
  expect((await one.ask("PUT", `${base}/state/${TYPE}/`, { users: { [CREATOR]: 100 } })).status).toBe(200);
  expect(room.stateEvent(TYPE)!.content["users"]).toEqual({ [CREATOR]: 100, [PSEUDOUSER]: 50 });
});

test("power levels are not set while it cannot be told what they are", async () => {
  const { service, room, one, base } = await scene();
  const before = room.stateEvent(TYPE);
  const broken = { status: 500, body: { errcode: "M_UNKNOWN" } };
  service.homeserver.fault("GET", /state\/m\.room\.create/, broken, 5);
  service.homeserver.fault("GET", /state$/, broken, 5);
  expect((await one.ask("PUT", `${base}/state/${TYPE}/`, { users: {} })).status).toBe(502);
  expect(room.stateEvent(TYPE)).toBe(before);
});

test.each<[string, JsonObject]>([
  ["11", { users: { [PSEUDOUSER]: 100 }, [LEVELS]: { one: { [CAT]: 100 } } }],
  ["12", { users: {}, [LEVELS]: { one: { [CAT]: 150 } } }],
])("whoever makes a room of version %s has a maker's power in it, a persona, too", async (version, inRoom) => {
  const service = await startService();
  const one = await service.tenant("one", ACTIONS, `@_one_.*:${SERVER}`);
  const { body } = await one.as(CAT).ask("POST", "/createRoom", { room_version: version });
  const roomId = body["room_id"] as string;
  expect(service.homeserver.rooms.get(roomId)!.stateEvent(TYPE)!.content).toEqual({
    ...inRoom,
    [OWNER]: "one",
    "org.matrix.msc1777.persona": CAT,
  });
  const state = (await one.ask("GET", `/rooms/${encodeURIComponent(roomId)}/state`)).raw.toString("utf8");
  expect(usersIn(JSON.parse(state) as JsonValue)).toEqual(
    version === "12" ? [{ [CAT]: 150 }] : [{ [one.sender]: 100, [CAT]: 100 }],
  );
  const create = await one.ask("GET", `/rooms/${encodeURIComponent(roomId)}/state/m.room.create/?format=event`);
  expect(create.body["sender"]).toBe(CAT);
});

test("after an upgrade to a version in which makers have no level, the tenant's sender is the room's maker", async () => {
  const service = await startService();
  const one = await service.tenant("one", ACTIONS);
  const { body } = await one.ask("POST", "/createRoom", { room_version: "11" });
  const upgrade = `/rooms/${encodeURIComponent(body["room_id"] as string)}/upgrade`;
  const replacement = (await one.ask("POST", upgrade, { new_version: "12" })).body["replacement_room"] as string;
  const path = `/rooms/${encodeURIComponent(replacement)}/state/m.room.create/?format=event`;
  expect((await one.ask("GET", path)).body["sender"]).toBe(one.sender);
});
