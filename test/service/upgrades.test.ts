/**
 * Rooms that name their successors: leases follow an honest upgrade, and no chain, circle or fancy of tombstones leads anybody far.
 */
import { expect, test } from "vitest";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { eventually, PSEUDOUSER, startService, type Service } from "../support/service-app.ts";

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

test("a chain of upgrades is followed ten times, and no further", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const rooms = Array.from({ length: 14 }, () => service.homeserver.makeRoom());
  await bot.join(rooms[0]!.id);
  for (let n = 0; n < 10; n += 1) {
    await present(service, rooms[n]!);
    tombstone(service, rooms[n]!, rooms[n + 1]!.id);
  }
  await present(service, rooms[10]!);
  tombstone(service, rooms[10]!, rooms[11]!.id);
  await service.untilRoom(rooms[11]!.id, { phase: "refused", code: "upgrade-chain" });
  expect(joins(service)).toBe(11);
  expect(await bot.joinedRooms()).toEqual([]);
  expect((await bot.join(rooms[11]!.id)).status).toBe(200);
});

test("a circle of upgrades ends", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const [one, other] = [service.homeserver.makeRoom(), service.homeserver.makeRoom()];
  await bot.join(one.id);
  let [from, to] = [one, other];
  for (let n = 0; n < 10; n += 1) {
    await present(service, from);
    tombstone(service, from, to.id);
    [from, to] = [to, from];
  }
  await present(service, from);
  tombstone(service, from, to.id);
  await service.untilRoom(to.id, { phase: "refused", code: "upgrade-chain" });
  await service.untilRoom(from.id, { phase: "absent" });
  expect(joins(service)).toBeLessThanOrEqual(11);
  expect([from, to].map((room) => room.membership(PSEUDOUSER))).toEqual(["leave", "leave"]);
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

test("a successor that does not exist is not asked to be joined, and the old room is left", async () => {
  const service = await startService();
  const bot = await service.tenant("bot");
  const room = service.homeserver.makeRoom();
  await bot.join(room.id);
  tombstone(service, room, "!nowhere:elsewhere.test");
  await service.untilRoom("!nowhere:elsewhere.test", { phase: "refused", code: "not-visible" });
  await service.untilRoom(room.id, { phase: "absent" });
  expect(joins(service)).toBe(1);
});

test("a successor in which we are already takes no join, and its leases are judged there", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true }, peek: { wait: 600_000 } } });
  const { homeserver } = service;
  const open = homeserver.makeRoom({ historyVisibility: "world_readable" });
  const closed = homeserver.makeRoom({ historyVisibility: "joined" });
  await (await service.tenant("bot")).join(closed.id);
  await present(service, closed);
  const target = `/_matrix/client/v3/rooms/${encodeURIComponent(open.id)}/initialSync?via=elsewhere.test`;
  expect((await service.gateway("GET", target, { token: "token-of-alice" })).status).toBe(200);
  tombstone(service, open, closed.id);
  const live = () =>
    service.query<{ kind: string }>("SELECT kind FROM leases WHERE ended_at IS NULL").map(({ kind }) => kind);
  await service.untilRoom(open.id, { phase: "absent" });
  await eventually("the peek's end", () => live().join() === "tenant");
  expect(joins(service)).toBe(2);
});

test("joins that come with upgrades are paid for: a server's rooms have no more of them than its budget", async () => {
  const joinsPerServer = { joins: 3, per: 24 * 3_600_000 };
  const service = await startService({ settings: { policy: { joinsPerServer } } });
  const bot = await service.tenant("bot");
  const rooms = Array.from({ length: 5 }, () => service.homeserver.makeRoom());
  await bot.join(rooms[0]!.id);
  for (let n = 0; n < 3; n += 1) {
    await present(service, rooms[n]!);
    tombstone(service, rooms[n]!, rooms[n + 1]!.id);
  }
  await service.untilRoom(rooms[3]!.id, { code: "budget-server" });
  expect(joins(service)).toBe(3);
});
