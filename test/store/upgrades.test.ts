import { describe, expect, test } from "vitest";
import type { RoomId, ServerName, TenantId, UserId } from "../../src/model/ids.ts";
import type { Holder, LeaseWish } from "../../src/model/lease.ts";
import { haveSpaceFor, MAX_GRANTS } from "../../src/policy/grants.ts";
import { ALICE, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, REMOTE, ROOM, state } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";
import { bringAll, bury, replace } from "../support/upgrading.ts";
import { tenant } from "../support/tenants.ts";

const TELEGRAM: Holder = { kind: "tenant", name: "telegram" };
const CLI: Holder = { kind: "operator", name: "cli" };
const ALIAS: Holder = { kind: "alias", name: "#a:ours.example" };
const NOBODY: ReadonlySet<RoomId> = new Set();
const LATER = 100_000;

function wish(holder: Holder, roomId = ROOM, ttl: number | null = null): LeaseWish {
  return { roomId, holder, via: [], ttl };
}

async function holdersIn(stores: Stores, roomId: RoomId): Promise<string[]> {
  return (await stores.leases.ofRoom(roomId)).map(({ holder }) => holder.name).sort();
}

const due = async ({ upgrades }: Stores, at = LATER): Promise<RoomId[]> =>
  (await upgrades.due(at, 10, NOBODY)).map(({ from }) => from);

describe.each(DATABASES)("a room that is said to be replaced, on $name", ({ make }) => {
  test("keeps its leases, and is to be looked into, which outlives a crash", async () => {
    const database = make();
    const stores = database.open();
    await stores.leases.book({ ...wish(TELEGRAM), via: ["a.example" as ServerName] }, 100);
    await bury(stores, ROOM, NEW_ROOM, LATER);
    expect(await holdersIn(stores, ROOM)).toEqual(["telegram"]);
    expect(await stores.leases.ofRoom(NEW_ROOM)).toEqual([]);
    expect(await stores.ledger.room(NEW_ROOM)).toMatchObject({ via: [REMOTE, "a.example"] });
    const again = database.openAfterCrash();
    expect(await again.upgrades.due(LATER, 10, NOBODY)).toMatchObject([{ from: ROOM, tries: 0, since: LATER }]);
    expect(await again.upgrades.due(LATER, 10, new Set([ROOM]))).toEqual([]);
  });

  test("by a load that finds the tombstone, is looked into as well", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 100);
    const ticket = await stores.loads.begin(ROOM);
    const tombstone = state("m.room.tombstone", { replacement_room: NEW_ROOM }, { id: "t" });
    await stores.loads.part(ticket, recordOf("", [tombstone]).changes, 500);
    expect(await due(stores)).toEqual([ROOM]);
  });

  test.each<[string, readonly Holder[]]>([
    ["without leases", []],
    ["with an alias's lease alone, which goes where the directory says", [ALIAS]],
    ["with the lease of an upgrade alone", [{ kind: "upgrade", name: OTHER_ROOM }]],
  ])("%s, is not looked into, and nothing is kept of the other", async (_what, holders) => {
    const stores = make().open();
    for (const holder of holders) await stores.leases.book(wish(holder), 1);
    await bury(stores, ROOM, NEW_ROOM);
    expect(await due(stores)).toEqual([]);
    expect(await stores.ledger.room(NEW_ROOM)).toBeNull();
  });

  test.each(["", "!", "#alias:remote.example", ROOM])("by %j, is not looked into", async (to) => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    await bury(stores, ROOM, to);
    expect(await due(stores)).toEqual([]);
  });

  test.each<[string, (stores: Stores) => Promise<unknown>]>([
    [
      "the pseudouser is invited there",
      ({ ledger }) => ledger.record(recordOf("i", [member(OWN, "invite", { id: "i", room: NEW_ROOM, sender: ALICE })])),
    ],
    [
      "the pseudouser is put out there",
      ({ ledger }) => ledger.record(recordOf("k", [member(OWN, "ban", { id: "k", room: NEW_ROOM, sender: ALICE })])),
    ],
    ["the room is loaded", async ({ loads }) => loads.finish(await loads.begin(NEW_ROOM), LATER)],
  ])("is looked into again when %s", async (_what, happens) => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    await bury(stores, ROOM, NEW_ROOM);
    const [ticket] = await stores.upgrades.due(LATER, 10, NOBODY);
    await stores.upgrades.settle(ticket!, null, LATER);
    expect(await due(stores, LATER * 2)).toEqual([]);
    await happens(stores);
    expect(await due(stores, LATER * 2)).toEqual([ROOM]);
  });

  test("is due soon where something changed while it was looked into, and not at once", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    await bury(stores, ROOM, NEW_ROOM);
    const [ticket] = await stores.upgrades.due(LATER, 10, NOBODY);
    await bury(stores, ROOM, OTHER_ROOM, LATER);
    await stores.upgrades.settle(ticket!, null, LATER);
    expect(await due(stores, LATER)).toEqual([]);
    expect(await due(stores, LATER + 5_000)).toEqual([ROOM]);
  });

  test("is looked into though the clock was set back by days since", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    const days = 30 * 24 * 60 * 60_000;
    await bury(stores, ROOM, NEW_ROOM, days);
    expect(await due(stores, LATER)).toEqual([ROOM]);
  });

  test("is given up with a word in the audit", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    await bury(stores, ROOM, NEW_ROOM);
    const [ticket] = await stores.upgrades.due(LATER, 10, NOBODY);
    await stores.upgrades.giveUp(ticket!, NEW_ROOM, LATER);
    expect(await due(stores, LATER * 2)).toEqual([]);
    const [row] = await stores.audit.newest(null, 1);
    expect(row).toMatchObject({
      actor: `upgrade:${ROOM}`,
      action: "lease.follow",
      outcome: "given-up",
      roomId: NEW_ROOM,
    });
  });
});

describe.each(DATABASES)("leases that follow, on $name", ({ make }) => {
  test("begin in the new room when they end in the old one, with the time that they had", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM, ROOM, 60_000), 100);
    for (const holder of [CLI, ALIAS]) await stores.leases.book(wish(holder), 100);
    await replace(stores, ROOM, NEW_ROOM);
    expect(await bringAll(stores, ROOM, NEW_ROOM)).toBe(2);
    expect(await holdersIn(stores, ROOM)).toEqual([ALIAS.name]);
    expect(await stores.leases.lastEnd(ROOM, TELEGRAM)).toBe("upgraded");
    expect(await holdersIn(stores, NEW_ROOM)).toEqual(["cli", "telegram"]);
    expect(await stores.leases.find(NEW_ROOM, TELEGRAM)).toMatchObject({
      takenAt: 500,
      expiresAt: 60_100,
      upgrades: 1,
    });
    expect([...(await stores.attendance.due(500, 10, NOBODY))].sort()).toEqual([NEW_ROOM, ROOM].sort());
  });

  test.each<[string, (stores: Stores) => Promise<unknown>]>([
    ["the new room names no predecessor", (stores) => bury(stores, ROOM, OTHER_ROOM)],
    [
      "the old room names another replacement by now",
      (stores) => replace(stores, ROOM, NEW_ROOM).then(() => bury(stores, ROOM, OTHER_ROOM)),
    ],
    [
      "the pseudouser is not in the new room",
      async (stores) => {
        await replace(stores, ROOM, OTHER_ROOM);
        await stores.ledger.record(recordOf("out", [member(OWN, "leave", { id: "out", room: OTHER_ROOM })]));
      },
    ],
    [
      "the new room is not loaded",
      async (stores) => {
        await stores.ledger.record(
          recordOf("in", [
            member(OWN, "join", { id: "in", room: OTHER_ROOM }),
            state("m.room.create", { predecessor: { room_id: ROOM } }, { id: "c", room: OTHER_ROOM }),
          ]),
        );
        await bury(stores, ROOM, OTHER_ROOM);
      },
    ],
  ])("do not where %s, whoever asks for it", async (what, happens) => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    await happens(stores);
    const to = what.startsWith("the old room") ? NEW_ROOM : OTHER_ROOM;
    expect(await bringAll(stores, ROOM, to)).toBe(0);
    expect(await holdersIn(stores, ROOM)).toEqual(["telegram"]);
    expect(await stores.leases.ofRoom(to)).toEqual([]);
  });

  // A tenant stood in the new room for good and had a passing lease in the old one. The move gave the lasting lease the
  // passing one's end, and the tenant lost its room minutes later.
  test("leave alone what a holder has in the new room", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM, ROOM, 60_000), 100);
    const lasting = await stores.leases.book(wish(TELEGRAM, NEW_ROOM), 200);
    await replace(stores, ROOM, NEW_ROOM);
    expect(await bringAll(stores, ROOM, NEW_ROOM)).toBe(1);
    expect(await stores.leases.ofRoom(NEW_ROOM)).toEqual([lasting]);
  });

  test("are looked into once more where their new room was replaced, too, before they came", async () => {
    const stores = make().open();
    await stores.leases.book(wish(TELEGRAM), 1);
    await replace(stores, ROOM, NEW_ROOM);
    await bury(stores, NEW_ROOM, OTHER_ROOM);
    expect(await due(stores)).toEqual([ROOM]);
    await bringAll(stores, ROOM, NEW_ROOM);
    expect(await due(stores)).toContain(NEW_ROOM);
  });

  test("take along what grants say of the old room by its ID, in the same commit, once", async () => {
    const database = make();
    const stores = database.open();
    const id = "telegram" as TenantId;
    const sender = "@_emissary_telegram:ours.example" as UserId;
    const named = {
      rooms: [OTHER_ROOM, ROOM],
      actions: ["read", "state"],
      types: ["m.x"],
      source: "operator",
    } as const;
    const glob = { rooms: ["!*"], actions: ["kick"], types: null, source: "operator" } as const;
    const other = { rooms: [OTHER_ROOM], actions: ["ban"], types: null, source: "operator" } as const;
    const grants = [named, glob, other];
    await stores.tenants.add({ tenant: tenant(id, { sender, grants }), tokenHash: "h", hsSalt: "s" }, 1);
    for (const [from, to] of [
      [ROOM, NEW_ROOM],
      [ROOM, NEW_ROOM],
    ] as const) {
      await stores.leases.book(wish(TELEGRAM, from), 1);
      await replace(stores, from, to);
      await bringAll(stores, from, to);
    }
    const [after] = await database.openAfterCrash().tenants.all();
    expect(after!.tenant.grants).toEqual([
      ...grants,
      { rooms: [NEW_ROOM], actions: ["read", "state"], types: ["m.x"], source: "upgrade" },
    ]);
    const told = (await stores.audit.newest(null, 50)).filter(({ action }) => action === "tenant.allow");
    expect(told).toMatchObject([
      { actor: "emissary", detail: { rooms: [NEW_ROOM], source: "upgrade", replaces: ROOM } },
    ]);
  });

  test("and where a tenant has as many grants as may be, none is to follow", () => {
    const grant = { rooms: [ROOM], actions: ["read"], types: null, source: "operator" } as const;
    const rest = Array.from({ length: MAX_GRANTS - 2 }, () => ({ ...grant, rooms: [OTHER_ROOM] }));
    expect(haveSpaceFor([grant, ...rest], ROOM)).toBe(true);
    expect(haveSpaceFor([grant, grant, ...rest], ROOM)).toBe(false);
  });
});
