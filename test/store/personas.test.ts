import { describe, expect, test } from "vitest";
import type { RoomId, TenantId, UserId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { ALICE, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM } from "../support/events.ts";
import { bringAll, replace } from "../support/upgrading.ts";
import { DATABASES, type Stores } from "../support/storage.ts";
import { tenant } from "../support/tenants.ts";

const IRC = "irc" as TenantId;
const TELEGRAM = "telegram" as TenantId;
const ANNA = "@_irc_anna:ours.example" as UserId;
const BERT = "@_irc_bert:ours.example" as UserId;
const holder = (name: string): Holder => ({ kind: "tenant", name });

/** Two tenants with a lease in ROOM, where the pseudouser is. */
async function inhabited(stores: Stores): Promise<Stores> {
  for (const id of [IRC, TELEGRAM]) {
    await stores.tenants.add({ tenant: tenant(id), tokenHash: `hash of ${id}`, hsSalt: "" }, 1);
    await book(stores, id, ROOM);
  }
  await stores.ledger.record(recordOf("own", [member(OWN, "join", { id: "own" })]));
  return stores;
}

async function book(stores: Stores, id: TenantId, roomId: RoomId): Promise<void> {
  await stores.leases.book({ roomId, holder: holder(id), via: [], ttl: null }, 1);
}

async function usersIn(stores: Stores, id: TenantId, roomId: RoomId): Promise<UserId[]> {
  return (await stores.personas.inRoom(id, roomId)).map(({ userId }) => userId);
}

describe.each(DATABASES)("personas on $name", ({ make }) => {
  test("a user is registered once, for each tenant by itself", async () => {
    const { personas } = await inhabited(make().open());
    expect(await personas.isKnown(IRC, ANNA)).toBe(false);
    expect(await personas.register(IRC, ANNA)).toBe(true);
    expect(await personas.register(IRC, ANNA)).toBe(false);
    expect(await personas.isKnown(IRC, ANNA)).toBe(true);
    expect(await personas.register(TELEGRAM, ANNA)).toBe(true);
  });

  test.each<[string, (stores: Stores) => Promise<unknown>]>([
    ["a profile", ({ personas }) => personas.setProfile(IRC, ANNA, { displayname: "Anna" })],
    ["a room", ({ personas }) => personas.enter(IRC, ROOM, ANNA)],
  ])("%s makes a user known that was never registered", async (_what, remember) => {
    const stores = await inhabited(make().open());
    await remember(stores);
    expect(await stores.personas.isKnown(IRC, ANNA)).toBe(true);
    expect(await stores.personas.register(IRC, ANNA)).toBe(false);
  });

  test("a profile's parts are set and taken back one by one", async () => {
    const { personas } = await inhabited(make().open());
    expect(await personas.profile(IRC, ANNA)).toEqual({ displayname: null, avatarUrl: null });
    await personas.setProfile(IRC, ANNA, { displayname: "Anna" });
    await personas.setProfile(IRC, ANNA, { avatarUrl: "mxc://ours.example/a" });
    expect(await personas.profile(IRC, ANNA)).toEqual({ displayname: "Anna", avatarUrl: "mxc://ours.example/a" });
    await personas.setProfile(IRC, ANNA, { displayname: null });
    expect(await personas.profile(IRC, ANNA)).toEqual({ displayname: null, avatarUrl: "mxc://ours.example/a" });
    expect(await personas.profile(TELEGRAM, ANNA)).toEqual({ displayname: null, avatarUrl: null });
  });

  test("who is in a room is told in the order of the IDs, with profiles, and to its own tenant only", async () => {
    const stores = await inhabited(make().open());
    const { personas } = stores;
    for (const user of [BERT, ANNA, ANNA]) expect(await personas.enter(IRC, ROOM, user)).toBe(true);
    await personas.setProfile(IRC, BERT, { displayname: "Bert" });
    expect(await personas.inRoom(IRC, ROOM)).toEqual([
      { userId: ANNA, displayname: null, avatarUrl: null },
      { userId: BERT, displayname: "Bert", avatarUrl: null },
    ]);
    expect(await personas.isIn(IRC, ROOM, ANNA)).toBe(true);
    expect(await personas.isIn(TELEGRAM, ROOM, ANNA)).toBe(false);
    expect(await personas.isIn(IRC, OTHER_ROOM, ANNA)).toBe(false);
    expect(await usersIn(stores, TELEGRAM, ROOM)).toEqual([]);
  });

  test("nobody enters a room without the tenant's lease there", async () => {
    const { personas, leases } = await inhabited(make().open());
    expect(await personas.enter(IRC, OTHER_ROOM, ANNA)).toBe(false);
    await leases.end(ROOM, holder(IRC), "released", 2);
    expect(await personas.enter(IRC, ROOM, ANNA)).toBe(false);
    expect(await personas.isKnown(IRC, ANNA)).toBe(false);
  });

  test("the last one out gives the tenant's lease back, in the same commit, and has the keeper look", async () => {
    const stores = await inhabited(make().open());
    const { personas, leases, attendance } = stores;
    for (const user of [ANNA, BERT]) await personas.enter(IRC, ROOM, user);
    expect(await personas.exit(IRC, ROOM, ANNA, 700)).toBe(1);
    expect(await personas.exit(IRC, ROOM, ANNA, 700)).toBe(1);
    expect(await leases.find(ROOM, holder(IRC))).not.toBeNull();
    const situation = await attendance.situation(ROOM);
    await attendance.save({ ...situation.attendance, nextAt: null }, situation.revision);
    expect(await personas.exit(IRC, ROOM, BERT, 700)).toBe(0);
    expect(await leases.find(ROOM, holder(IRC))).toBeNull();
    expect(await leases.lastEnd(ROOM, holder(IRC))).toBe("released");
    expect(await leases.find(ROOM, holder(TELEGRAM))).not.toBeNull();
    expect(await attendance.due(700, 10, new Set())).toEqual([ROOM]);
    expect(await personas.exit(IRC, ROOM, BERT, 800)).toBe(0);
    expect(await personas.exit(IRC, OTHER_ROOM, BERT, 800)).toBe(0);
  });

  test("a user's rooms are those that it and the pseudouser are in", async () => {
    const stores = await inhabited(make().open());
    await book(stores, IRC, OTHER_ROOM);
    for (const room of [ROOM, OTHER_ROOM]) await stores.personas.enter(IRC, room, ANNA);
    await stores.personas.enter(IRC, OTHER_ROOM, BERT);
    expect(await stores.personas.roomsOf(IRC, ANNA)).toEqual([ROOM]);
    expect(await stores.personas.roomsOf(IRC, BERT)).toEqual([]);
    await stores.ledger.record(recordOf("2", [member(OWN, "join", { id: "2", room: OTHER_ROOM })]));
    expect(await stores.personas.roomsOf(IRC, ANNA)).toEqual([OTHER_ROOM, ROOM]);
    expect(await stores.personas.roomsOf(TELEGRAM, ANNA)).toEqual([]);
  });

  describe("when a lease ends otherwise, its tenant's users are out of that room", () => {
    test.each<[string, readonly TenantId[], (stores: Stores) => Promise<unknown>]>([
      ["kicked", [], ({ ledger }) => ledger.record(recordOf("k", [member(OWN, "leave", { id: "k", sender: ALICE })]))],
      ["banned", [], ({ ledger }) => ledger.record(recordOf("b", [member(OWN, "ban", { id: "b", sender: ALICE })]))],
      ["released", [TELEGRAM], ({ leases }) => leases.end(ROOM, holder(IRC), "released", 9)],
      ["removed", [TELEGRAM], ({ tenants }) => tenants.remove(IRC, 9)],
    ])("%s", async (_how, remaining, end) => {
      const stores = await inhabited(make().open());
      await book(stores, IRC, OTHER_ROOM);
      for (const id of [IRC, TELEGRAM]) await stores.personas.enter(id, ROOM, ANNA);
      await stores.personas.enter(IRC, OTHER_ROOM, BERT);
      await end(stores);
      expect(await usersIn(stores, IRC, ROOM)).toEqual([]);
      expect(await usersIn(stores, TELEGRAM, ROOM)).toEqual(remaining.includes(TELEGRAM) ? [ANNA] : []);
      const isStillThere = (await stores.leases.find(OTHER_ROOM, holder(IRC))) !== null;
      expect(await usersIn(stores, IRC, OTHER_ROOM)).toEqual(isStillThere ? [BERT] : []);
    });

    test("expired", async () => {
      const stores = await inhabited(make().open());
      await stores.leases.book({ roomId: ROOM, holder: holder(IRC), via: [], ttl: 10 }, 1);
      await stores.personas.enter(IRC, ROOM, ANNA);
      await stores.leases.expire(100, 10);
      expect(await usersIn(stores, IRC, ROOM)).toEqual([]);
    });
  });

  test("an upgrade takes a tenant's users along, also where some are in the new room already", async () => {
    const stores = await inhabited(make().open());
    await book(stores, IRC, NEW_ROOM);
    await stores.personas.enter(IRC, NEW_ROOM, ANNA);
    for (const user of [ANNA, BERT]) await stores.personas.enter(IRC, ROOM, user);
    await stores.personas.enter(TELEGRAM, ROOM, ANNA);
    await replace(stores, ROOM, NEW_ROOM);
    await bringAll(stores, ROOM, NEW_ROOM);
    for (const id of [IRC, TELEGRAM]) expect(await usersIn(stores, id, ROOM)).toEqual([]);
    expect(await usersIn(stores, IRC, NEW_ROOM)).toEqual([ANNA, BERT]);
    expect(await usersIn(stores, TELEGRAM, NEW_ROOM)).toEqual([ANNA]);
  });

  test("all of it outlives a crash", async () => {
    const database = make();
    const stores = await inhabited(database.open());
    await stores.personas.enter(IRC, ROOM, ANNA);
    await stores.personas.setProfile(IRC, ANNA, { displayname: "Anna" });
    const again = database.openAfterCrash();
    expect(await again.personas.inRoom(IRC, ROOM)).toEqual([{ userId: ANNA, displayname: "Anna", avatarUrl: null }]);
    expect(await again.personas.roomsOf(IRC, ANNA)).toEqual([ROOM]);
    expect(await again.personas.register(IRC, ANNA)).toBe(false);
  });
});
