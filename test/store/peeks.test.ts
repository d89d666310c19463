import { describe, expect, test } from "vitest";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import type { Membership } from "../../src/model/membership.ts";
import { ALICE, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const PHONE = "alice.phone";
const LAPTOP = "alice.laptop";
const OTHER = "bob.phone";

const holder = (name: string): Holder => ({ kind: "peek", name });

async function peek(stores: Stores, device: string, roomId: RoomId = ROOM): Promise<void> {
  await stores.leases.book({ roomId, holder: holder(device), via: [], ttl: 1_000 }, 0);
}

function enter(stores: Stores, id: string, membership: Membership = "join", sender: UserId = OWN): Promise<unknown> {
  return stores.ledger.record(recordOf(id, [member(OWN, membership, { id, sender })]));
}

describe.each(DATABASES)("devices that peek, on $name", ({ make }) => {
  test("are known by each of their newest tokens while they peek, and then no more", async () => {
    const stores = make().open();
    const { peeks, leases } = stores;
    await peek(stores, PHONE);
    for (const token of ["t1", "t2", "t3", "t4", "t5"]) await peeks.remember(PHONE, token);
    expect(await peeks.deviceOf("t1")).toBeNull();
    for (const token of ["t2", "t5"]) expect(await peeks.deviceOf(token)).toBe(PHONE);
    await leases.end(ROOM, holder(PHONE), "released", 1);
    expect(await peeks.deviceOf("t5")).toBeNull();
  });

  test("are still known after a crash, and what they peek into", async () => {
    const database = make();
    const before = database.open();
    await peek(before, PHONE);
    await before.peeks.remember(PHONE, "token");
    const { peeks } = database.openAfterCrash();
    expect(await peeks.deviceOf("token")).toBe(PHONE);
    expect(await peeks.peeksOf(PHONE)).toMatchObject([{ roomId: ROOM, present: false }]);
  });

  test("one that is another's now is the other's", async () => {
    const stores = make().open();
    await peek(stores, PHONE);
    await peek(stores, OTHER);
    await stores.peeks.remember(PHONE, "token");
    await stores.peeks.remember(OTHER, "token");
    expect(await stores.peeks.deviceOf("token")).toBe(OTHER);
  });

  test("each have their own peeks, and a user's rooms are counted once", async () => {
    const stores = make().open();
    await peek(stores, PHONE);
    await peek(stores, LAPTOP);
    await peek(stores, LAPTOP, OTHER_ROOM);
    await peek(stores, "alice", NEW_ROOM);
    await peek(stores, OTHER);
    expect((await stores.peeks.peeksOf(PHONE)).map(({ roomId }) => roomId)).toEqual([ROOM]);
    expect((await stores.peeks.peeksOf(LAPTOP)).map(({ roomId }) => roomId)).toEqual([ROOM, OTHER_ROOM]);
    for (const name of ["alice", PHONE, LAPTOP]) expect(await stores.peeks.countOf(holder(name))).toBe(3);
    expect(await stores.peeks.countOf(holder(OTHER))).toBe(1);
  });

  test("see a change where the pseudouser came back, and none where a peek was renewed", async () => {
    const stores = make().open();
    const { peeks } = stores;
    await peek(stores, PHONE);
    await enter(stores, "in");
    const [first] = await peeks.peeksOf(PHONE);
    expect(first).toMatchObject({ present: true });
    const newest = await peeks.newest();
    await peek(stores, PHONE);
    expect(await peeks.peeksOf(PHONE)).toEqual([first]);
    expect(await peeks.newest()).toBe(newest);

    await enter(stores, "out", "leave", ALICE);
    expect(await peeks.peeksOf(PHONE)).toEqual([]);
    expect(await peeks.newest()).toBeGreaterThan(newest);
    await peek(stores, PHONE);
    await enter(stores, "in-again");
    const [second] = await peeks.peeksOf(PHONE);
    expect(second?.change).toBeGreaterThan(first?.change ?? 0);
  });
});
