import { describe, expect, test } from "vitest";
import type { RoomId } from "../../src/model/ids.ts";
import { ALICE, OTHER_ROOM, OWN, ROOM, member, recordOf } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

async function enter(stores: Stores, roomId: RoomId, id: string): Promise<void> {
  await stores.ledger.record(recordOf(id, [member(OWN, "join", { id, room: roomId })]));
}

describe.each(DATABASES)("comparing with the homeserver, on $name", ({ make }) => {
  test("the rooms that the ledger has us in are those entered and not left", async () => {
    const stores = make().open();
    await enter(stores, ROOM, "1");
    await enter(stores, OTHER_ROOM, "2");
    await stores.ledger.record(recordOf("3", [member(OWN, "leave", { id: "3", room: ROOM })]));
    expect(await stores.reconcile.attended()).toEqual([OTHER_ROOM]);
  });

  test("a room that we are told we are not in is no longer attended, and the keeper is to look at it", async () => {
    const stores = make().open();
    await enter(stores, ROOM, "1");
    await stores.reconcile.setAbsent(ROOM, 50);
    expect(await stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave", load: "stale" });
    expect(await stores.attendance.due(50, 10, new Set())).toEqual([ROOM]);
  });

  test("the liveliest rooms are those that brought the newest events, the newest first", async () => {
    const stores = make().open();
    await enter(stores, OTHER_ROOM, "1");
    await enter(stores, ROOM, "2");
    await stores.ledger.record(recordOf("3", [member(ALICE, "join", { id: "3", room: ROOM })]));
    expect(await stores.reconcile.liveliest(5)).toEqual([ROOM, OTHER_ROOM]);
    expect(await stores.reconcile.liveliest(1)).toEqual([ROOM]);
  });

  test.each([10, 999, 1_001, 5_000, 20_000, 100_000])(
    "the liveliest are found with an event among the newest that is nested %i deep",
    async (depth) => {
      const stores = make().open();
      await enter(stores, OTHER_ROOM, "1");
      await enter(stores, ROOM, "2");
      // As a journal from before may hold one: intake leaves out what lies so deep.
      const record = recordOf("3", [member(ALICE, "join", { id: "3", room: ROOM })]);
      const deep = `{"deep":${"[".repeat(depth)}${"]".repeat(depth)},`;
      const body = Buffer.from(Buffer.from(record.body).toString("utf8").replace('{"events":[{', `{"events":[${deep}`));
      await stores.ledger.record({ ...record, body });
      expect(await stores.reconcile.liveliest(5)).toEqual([ROOM, OTHER_ROOM]);
    },
  );

  test("a room is compared again when its newest comparison is old enough, one at a time, the oldest first", async () => {
    const stores = make().open();
    for (const [roomId, at] of [[ROOM, 10] as const, [OTHER_ROOM, 20] as const]) {
      await enter(stores, roomId, `own-${at}`);
      const ticket = await stores.loads.begin(roomId);
      expect(ticket.again).toBe(false);
      await stores.loads.part(
        ticket,
        recordOf("", [member(OWN, "join", { id: `own-${at}`, room: roomId })]).changes,
        at,
      );
      await stores.loads.finish(ticket, at);
    }
    expect(await stores.reconcile.recheckOne(10, 100)).toBe(null);
    expect(await stores.reconcile.recheckOne(30, 100)).toBe(ROOM);
    expect(await stores.reconcile.recheckOne(30, 101)).toBe(OTHER_ROOM);
    expect(await stores.reconcile.recheckOne(30, 102)).toBe(null);
    expect(await stores.loads.due(101, 10)).toEqual([
      { roomId: ROOM, drop: false },
      { roomId: OTHER_ROOM, drop: false },
    ]);
  });

  test("what differs in a room that was loaded before is counted: another event, one more, one less", async () => {
    const stores = make().open();
    await enter(stores, ROOM, "own");
    const first = await stores.loads.begin(ROOM);
    const own = member(OWN, "join", { id: "own" });
    const gone = member("@gone:remote.example" as typeof ALICE, "join", { id: "gone" });
    await stores.loads.part(first, recordOf("", [own, member(ALICE, "join", { id: "a1" }), gone]).changes, 1);
    await stores.loads.finish(first, 1);

    await stores.reconcile.recheckOne(2, 2);
    const second = await stores.loads.begin(ROOM);
    expect(second.again).toBe(true);
    const extra = member("@new:remote.example" as typeof ALICE, "join", { id: "new" });
    const now = recordOf("", [own, member(ALICE, "leave", { id: "a2" }), extra]);
    expect(await stores.loads.part(second, now.changes, 3)).toBe(2);
    expect(await stores.loads.finish(second, 3)).toBe(1);
  });
});
