/**
 * Rooms that name their successors: leases follow an honest upgrade, and no chain, circle or fancy of tombstones leads anybody far.
 */
import { describe, expect, test } from "vitest";
import type { RoomId } from "../../src/model/ids.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { eventually, fakeHomeserver, PSEUDOUSER, startService, type Service } from "../support/service-app.ts";

const CREATOR = "@creator:elsewhere.test";
const JOIN = /\/join\//;

function tombstone({ homeserver }: Service, room: FakeRoom, replacement: string): void {
  homeserver.send(room, CREATOR, "m.room.tombstone", { replacement_room: replacement }, "");
}

async function present(service: Service, room: FakeRoom): Promise<void> {
  await service.untilRoom(room.id, { phase: "present", load: "loaded" });
}

function joins({ homeserver }: Service): number {
  return homeserver.seen("POST", JOIN).length;
}

/** Rooms of which each names the one before as its predecessor. */
function chainOf({ homeserver }: Service, length: number): readonly FakeRoom[] {
  const rooms: FakeRoom[] = [];
  for (let n = 0; n < length; n += 1) {
    const last = rooms.at(-1);
    rooms.push(homeserver.makeRoom(last === undefined ? {} : { predecessor: last }));
  }
  return rooms;
}

/** Waits until somebody was refused there with that code. */
async function untilRefused(service: Service, roomId: string, code: string): Promise<void> {
  await eventually(
    `a refusal with ${code}`,
    () =>
      service.query("SELECT 1 FROM audit WHERE action = 'lease.take' AND room_id = ? AND outcome = ?", roomId, code)
        .length > 0,
  );
}

function holders(service: Service, roomId: string): string[] {
  return service
    .query<{ who: string }>(
      "SELECT l.kind || ':' || l.holder AS who FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
        "WHERE r.room_id = ? AND l.ended_at IS NULL ORDER BY l.id",
      roomId,
    )
    .map(({ who }) => who);
}

test("a chain of upgrades is followed ten times, and no further", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const rooms = chainOf(service, 14);
  await bot.join(rooms[0]!.id);
  for (let n = 0; n < 10; n += 1) {
    await present(service, rooms[n]!);
    tombstone(service, rooms[n]!, rooms[n + 1]!.id);
  }
  await present(service, rooms[10]!);
  tombstone(service, rooms[10]!, rooms[11]!.id);
  await untilRefused(service, rooms[11]!.id, "upgrade-chain");
  expect(joins(service)).toBe(11);
  expect(await bot.joinedRooms()).toEqual([rooms[10]!.id]);
  expect((await bot.join(rooms[11]!.id)).status).toBe(200);
});

test("a circle of upgrades ends", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const other = service.homeserver.makeRoom({ id: "!other:elsewhere.test", predecessor: "!one:elsewhere.test" });
  const one = service.homeserver.makeRoom({ id: "!one:elsewhere.test", predecessor: other });
  await bot.join(one.id);
  await present(service, one);
  tombstone(service, one, other.id);
  await present(service, other);
  tombstone(service, other, one.id);
  const refusal = "SELECT 1 FROM audit WHERE action = 'lease.take' AND outcome IN ('upgrade-chain', 'budget-room')";
  await eventually("the end of it", () => service.query(refusal).length > 0);
  expect(joins(service)).toBeLessThanOrEqual(11);
  expect(
    [...holders(service, one.id), ...holders(service, other.id)].filter((who) => who === "tenant:bot"),
  ).toHaveLength(1);
});

test("two rooms that name each other before anybody comes are two rooms", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const [one, other] = [service.homeserver.makeRoom(), service.homeserver.makeRoom()];
  one.append("m.room.tombstone", CREATOR, { replacement_room: other.id }, "");
  other.append("m.room.tombstone", CREATOR, { replacement_room: one.id }, "");
  await bot.join(one.id);
  await present(service, one);
  expect(await bot.joinedRooms()).toEqual([one.id]);
  expect(joins(service)).toBe(1);
});

test.each([
  ["itself", (room: FakeRoom) => room.id],
  ["no room", () => "nonsense"],
  ["somebody", () => "@alice:elsewhere.test"],
])("a room that names %s as its successor stays as it is", async (_what, successor) => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const room = service.homeserver.makeRoom();
  await bot.join(room.id);
  tombstone(service, room, successor(room));
  await service.untilDelivered();
  expect((await bot.send(room.id, { body: "still here" })).status).toBe(200);
  expect(joins(service)).toBe(1);
});

test("a successor that does not exist is not asked to be joined, and the old room stays", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const room = service.homeserver.makeRoom();
  await bot.join(room.id);
  tombstone(service, room, "!nowhere:elsewhere.test");
  await untilRefused(service, "!nowhere:elsewhere.test", "not-visible");
  expect((await bot.send(room.id, { body: "still here" })).status).toBe(200);
  expect(joins(service)).toBe(1);
});

test("a successor in which we are already takes no join, and its leases are judged there", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true }, peek: { wait: 600_000 } } });
  const { homeserver } = service;
  const open = homeserver.makeRoom({ historyVisibility: "world_readable" });
  const closed = homeserver.makeRoom({ historyVisibility: "joined", predecessor: open });
  await (await service.tenant("bot")).join(closed.id);
  await present(service, closed);
  const target = `/_matrix/client/v3/rooms/${encodeURIComponent(open.id)}/initialSync?via=elsewhere.test`;
  expect((await service.gateway("GET", target, { token: "token-of-alice" })).status).toBe(200);
  tombstone(service, open, closed.id);
  await untilRefused(service, closed.id, "not-peekable");
  expect(holders(service, closed.id)).toEqual(["tenant:bot"]);
  expect(holders(service, open.id)).toEqual([expect.stringMatching(/^peek:/)]);
  expect(joins(service)).toBe(2);
});

test("joins that come with upgrades are paid for: a server's rooms have no more of them than its budget", async () => {
  const joinsPerServer = { joins: 3, per: 24 * 3_600_000 };
  const service = await startService({ settings: { policy: { joinsPerServer } } });
  const bot = await service.tenant("bot");
  const rooms = chainOf(service, 5);
  await bot.join(rooms[0]!.id);
  for (let n = 0; n < 3; n += 1) {
    await present(service, rooms[n]!);
    tombstone(service, rooms[n]!, rooms[n + 1]!.id);
  }
  await untilRefused(service, rooms[3]!.id, "budget-server");
  expect(joins(service)).toBe(3);
  expect(await bot.joinedRooms()).toEqual([rooms[2]!.id]);
});

/** A tenant of B's is in a private room; A is in a stranger's public one. */
async function twoTenants(options: Parameters<typeof startService>[0] = {}) {
  const service = await startService(options);
  const { homeserver } = service;
  const [a, b] = [await service.tenant("a", ALL_ACTIONS), await service.tenant("b", ALL_ACTIONS)];
  const open = homeserver.makeRoom();
  const secret = homeserver.makeRoom({ joinRule: "invite" });
  await a.join(open.id);
  homeserver.setMembership(secret, PSEUDOUSER, "invite", CREATOR);
  await allow(service, "b", secret.id, ALL_ACTIONS);
  expect((await b.join(secret.id)).status).toBe(200);
  await present(service, secret);
  return { service, homeserver, a, b, open, secret };
}

const ALL_ACTIONS = ["read", "send", "redact", "state", "room-state"];

async function allow(service: Service, tenant: string, room: string, actions: readonly string[]): Promise<void> {
  const grant = { rooms: [room], actions, types: null };
  expect((await service.admin("POST", `/tenants/${tenant}/grants`, grant)).status).toBe(200);
}

const messages = (room: FakeRoom): string => `/rooms/${encodeURIComponent(room.id)}/messages?dir=b`;

describe("a tombstone that points to a room which does not name the old one", () => {
  test("gives nobody anything there: no listing, no reading, no writing, and whose room it is is undisturbed", async () => {
    const { service, homeserver, a, b, open, secret } = await twoTenants();
    homeserver.say(secret, CREATOR, "the plan");
    tombstone(service, open, secret.id);
    await untilRefused(service, secret.id, "no-predecessor");
    expect(await a.joinedRooms()).toEqual([open.id]);
    expect((await a.ask("GET", messages(secret))).status).toBe(403);
    expect((await a.send(secret.id, { body: "hello" })).status).toBe(403);
    expect((await a.ask("PUT", `/rooms/${encodeURIComponent(secret.id)}/state/m.room.topic`, {})).status).toBe(403);
    expect((await a.send(open.id, { body: "still here" })).status).toBe(200);
    expect((await b.send(secret.id, { body: "mine" })).status).toBe(200);
    expect(holders(service, secret.id)).toEqual(["tenant:b"]);
  });

  test("has the pseudouser look once, and leave again", async () => {
    const service = await startService({ settings: { attendance: { linger: 50 } } });
    const bot = await service.tenant("bot");
    const [room, other] = [service.homeserver.makeRoom(), service.homeserver.makeRoom()];
    await bot.join(room.id);
    for (let n = 0; n < 5; n += 1) {
      tombstone(service, room, other.id);
      await untilRefused(service, other.id, "no-predecessor");
    }
    await eventually("the pseudouser having left", () => other.membership(PSEUDOUSER) === "leave");
    expect(joins(service)).toBe(2);
    expect(await bot.joinedRooms()).toEqual([room.id]);
  });

  test("takes no list's rules and no lease of the operator's into it", async () => {
    const homeserver = await fakeHomeserver();
    const list = homeserver.makeRoom();
    const other = homeserver.makeRoom();
    homeserver.send(other, CREATOR, "m.policy.rule.user", { entity: "@x:y.test", recommendation: "m.ban" }, "1");
    const service = await startService({ homeserver, settings: { policy: { lists: [list.id as RoomId] } } });
    await present(service, list);
    tombstone(service, list, other.id);
    await untilRefused(service, other.id, "no-predecessor");
    expect(holders(service, list.id)).toEqual(["operator:policy-list"]);
    expect(service.query("SELECT * FROM policy_rules")).toEqual([]);
  });
});

test("a tombstone that was taken back, of which nobody told us, leads nowhere", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const room = service.homeserver.makeRoom();
  const next = service.homeserver.makeRoom({ predecessor: room });
  await bot.join(room.id);
  await present(service, room);
  const event = room.append("m.room.tombstone", CREATOR, { replacement_room: next.id }, "");
  service.homeserver.sender.push({ ...event });
  room.redact(event.event_id, CREATOR, {});
  await service.untilDelivered();
  await eventually("the homeserver being asked", () => service.homeserver.seen("GET", /m\.room\.tombstone/).length > 0);
  expect((await bot.send(room.id, { body: "still here" })).status).toBe(200);
  expect(joins(service)).toBe(1);
});

describe("the operator's own lease", () => {
  test.each<[string, (service: Service, room: FakeRoom) => Promise<unknown>, string]>([
    [
      "denied",
      (service, { id }) => service.admin("POST", "/policy/rules", { kind: "room", entity: id, verdict: "deny" }),
      "denied",
    ],
  ])("follows into no room that is %s", async (_what, forbid, code) => {
    const service = await startService();
    const room = service.homeserver.makeRoom();
    const next = service.homeserver.makeRoom({ predecessor: room });
    await forbid(service, next);
    expect((await service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, {})).status).toBe(200);
    await present(service, room);
    tombstone(service, room, next.id);
    await untilRefused(service, next.id, code);
    expect(holders(service, room.id)).toEqual(["operator:operator"]);
    expect(next.membership(PSEUDOUSER)).toBe(null);
  });

  test("stays out of a denied room that the pseudouser is in for somebody else", async () => {
    const service = await startService();
    const room = service.homeserver.makeRoom();
    const next = service.homeserver.makeRoom({ predecessor: room });
    for (const { id } of [room, next]) await service.admin("POST", `/rooms/${encodeURIComponent(id)}/join`, {});
    await present(service, next);
    await service.tenant("a").then((a) => a.join(next.id));
    await service.admin("POST", `/rooms/${encodeURIComponent(next.id)}/leave`, {});
    await service.admin("POST", "/policy/rules", { kind: "tenant", entity: "nobody", verdict: "deny" });
    tombstone(service, room, next.id);
    await eventually("the lease there", () => holders(service, next.id).includes("operator:operator"));
    await service.admin("POST", "/policy/rules", { kind: "room", entity: next.id, verdict: "deny" });
    await eventually("the end of all leases there", () => holders(service, next.id).length === 0);
  });

  test("opens a private room that replaces the one that the operator named", async () => {
    const service = await startService();
    const room = service.homeserver.makeRoom();
    const next = service.homeserver.makeRoom({ predecessor: room, joinRule: "invite" });
    await service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, {});
    await present(service, room);
    tombstone(service, room, next.id);
    service.homeserver.setMembership(next, PSEUDOUSER, "invite", CREATOR);
    await eventually("the lease there", () => holders(service, next.id).includes("operator:operator"));
    expect(holders(service, room.id)).toEqual([]);
  });
});

describe("a private room that is upgraded", () => {
  const private12 = { joinRule: "invite", version: "12" } as const;

  test.each([
    ["first", ["invite", "tombstone"]],
    ["last", ["tombstone", "invite"]],
  ])("the new invite coming %s: the tenant comes out in the new room, with what it may do", async (_when, order) => {
    const { service, homeserver, b, secret } = await twoTenants();
    const next = homeserver.makeRoom({ id: "!nextofversion12", predecessor: secret, ...private12 });
    for (const step of order) {
      if (step === "tombstone") tombstone(service, secret, next.id);
      else invite(service, next, secret.id);
      await service.untilDelivered();
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await eventually("the lease there", () => holders(service, next.id).includes("tenant:b"));
    expect(await b.joinedRooms()).toEqual([next.id]);
    expect((await b.send(next.id, { body: "here" })).status).toBe(200);
    expect((await b.ask("GET", messages(next))).status).toBe(200);
    const state = `/rooms/${encodeURIComponent(next.id)}/state/m.room.topic`;
    expect((await b.ask("PUT", state, { topic: "t" })).status).toBe(200);
    const { body } = await service.admin("GET", "/tenants/b");
    expect(JSON.stringify(body)).toContain(
      `"rooms":["${next.id}"],"actions":${JSON.stringify(ALL_ACTIONS)},"types":null,"source":"upgrade"`,
    );
    await eventually("the lease of the upgrade ending", () => holders(service, next.id).join() === "tenant:b");
    await service.untilRoom(secret.id, { phase: "absent" });
  });

  test("an invite that says so of itself, and is explained by no tombstone, brings no join and nobody in", async () => {
    const { service, homeserver, b, secret } = await twoTenants();
    const lure = homeserver.makeRoom({ predecessor: secret, ...private12 });
    invite(service, lure, secret.id);
    await service.untilDelivered();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(lure.membership(PSEUDOUSER)).toBe("invite");
    expect(await b.joinedRooms()).toEqual([secret.id]);
  });

  test("that is open to members of the old room needs no invite", async () => {
    const { service, homeserver, b, secret } = await twoTenants();
    const next = homeserver.makeRoom({ predecessor: secret, joinRule: "restricted" });
    const allow = [{ type: "m.room_membership", room_id: secret.id }];
    next.append("m.room.join_rules", CREATOR, { join_rule: "restricted", allow }, "");
    tombstone(service, secret, next.id);
    await eventually("the lease there", () => holders(service, next.id).includes("tenant:b"));
    expect((await b.send(next.id, { body: "here" })).status).toBe(200);
  });
});

function invite({ homeserver }: Service, room: FakeRoom, claimed: string): void {
  const content = { predecessor: { room_id: claimed }, room_version: "12" };
  const event = room.append("m.room.member", CREATOR, { membership: "invite" }, PSEUDOUSER);
  const invite_room_state = [{ type: "m.room.create", state_key: "", sender: CREATOR, content }];
  homeserver.sender.push({ ...event, unsigned: { invite_room_state } });
}
