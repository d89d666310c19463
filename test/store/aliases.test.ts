import { describe, expect, test } from "vitest";
import type { AliasFacts, AliasLine } from "../../src/aliases/alias.ts";
import { foldEvent } from "../../src/ledger/fold.ts";
import type { KnownAlias } from "../../src/aliases/alias.ts";
import type { RoomAlias, RoomId, UserId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { ALICE, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const SQUARE = "#square:ours.example" as RoomAlias;
const TOWER = "#tower:ours.example" as RoomAlias;
const OTHER_PSEUDOUSER = "@:remote.example" as UserId;

const known = (alias: RoomAlias = SQUARE, more: Partial<KnownAlias> = {}): KnownAlias => ({
  alias,
  roomId: ROOM,
  state: "unknown",
  code: "joining",
  reason: "on its way",
  since: 1,
  checkedAt: 2,
  emptySince: null,
  movingTo: null,
  ...more,
});
const holder = (alias: RoomAlias = SQUARE): Holder => ({ kind: "alias", name: alias });

async function hold(stores: Stores, alias: RoomAlias = SQUARE, roomId: RoomId = ROOM): Promise<void> {
  await stores.leases.book({ roomId, holder: holder(alias), alias, via: [], ttl: null }, 0);
}

async function enter(stores: Stores): Promise<void> {
  await stores.ledger.record(recordOf("enter", [member(OWN, "join", { id: "own" })]));
}

/** A load from its beginning to its end: the ledger holds all of the room. */
async function load(stores: Stores, ...others: UserId[]): Promise<void> {
  const ticket = await stores.loads.begin(ROOM);
  const members = [OWN, ...others].map((user) => member(user, "join", { id: user }));
  await stores.loads.part(
    ticket,
    members.flatMap((event) => foldEvent(event, OWN)),
    1,
  );
  await stores.loads.finish(ticket, 1);
}

async function lineOf(stores: Stores, alias = SQUARE): Promise<Partial<AliasLine>> {
  return (await stores.aliases.line(alias)) ?? {};
}

const facts = (stores: Stores): Promise<AliasFacts> => stores.aliases.facts(SQUARE, ROOM, OWN);

describe.each(DATABASES)("aliases, on $name", ({ make }) => {
  test("are kept over a crash, in their order, until they are forgotten", async () => {
    const database = make();
    const { aliases } = database.open();
    const squares = known(SQUARE, { state: "refused", code: "empty", emptySince: 7, movingTo: OTHER_ROOM });
    await aliases.put(known(TOWER), 10);
    await aliases.put(squares, 10);
    const after = database.openAfterCrash().aliases;
    expect((await after.page(null, 10)).map((line) => line.known)).toEqual([squares, known(TOWER)]);
    expect(await after.page(SQUARE, 10)).toMatchObject([{ known: { alias: TOWER } }]);
    expect(await after.page(null, 1)).toHaveLength(1);
    await after.forget(SQUARE);
    expect(await after.line(SQUARE)).toBeNull();
  });

  test("are no more than are allowed; those that are known may change", async () => {
    const { aliases } = make().open();
    expect(await aliases.put(known(SQUARE), 1)).toBe(true);
    expect(await aliases.put(known(TOWER), 1)).toBe(false);
    expect(await aliases.put(known(SQUARE, { state: "kept" }), 1)).toBe(true);
    expect(await aliases.page(null, 10)).toMatchObject([{ known: { alias: SQUARE, state: "kept" } }]);
  });

  test("are found by the room that they point to", async () => {
    const { aliases } = make().open();
    await aliases.put(known(SQUARE), 10);
    await aliases.put(known(TOWER, { roomId: OTHER_ROOM }), 10);
    expect(await aliases.ofRoom(ROOM, 10)).toEqual([SQUARE]);
    expect(await aliases.ofRoom(NEW_ROOM, 10)).toEqual([]);
  });

  test("show what became of their lease", async () => {
    const stores = make().open();
    await stores.aliases.put(known(), 10);
    expect(await lineOf(stores)).toMatchObject({ isHeld: false, isPresent: false, ended: null });
    await hold(stores);
    expect(await lineOf(stores)).toMatchObject({ isHeld: true, isPresent: false });
    await enter(stores);
    expect(await lineOf(stores)).toMatchObject({ isHeld: true, isPresent: true });
    await stores.ledger.record(recordOf("kick", [member(OWN, "leave", { id: "kick", sender: ALICE })]));
    expect(await lineOf(stores)).toMatchObject({ isHeld: false, ended: "kicked", attendance: { code: "kicked" } });
    expect(await facts(stores)).toMatchObject({ held: [], ended: "kicked" });
  });

  test("are told apart: another's lease in the room is not this one's", async () => {
    const stores = make().open();
    await stores.aliases.put(known(), 10);
    await hold(stores, TOWER);
    expect(await lineOf(stores)).toMatchObject({ isHeld: false });
    expect(await stores.aliases.leases(0, 10)).toMatchObject([{ alias: TOWER, roomId: ROOM }]);
    expect(await facts(stores)).toMatchObject({ known: { alias: SQUARE }, held: [] });
  });

  test("know the room that stands for theirs now, through several upgrades, and not in circles", async () => {
    const stores = make().open();
    await stores.aliases.put(known(), 10);
    const tombstone = (id: string, room: RoomId, to: RoomId) =>
      state("m.room.tombstone", { replacement_room: to }, { id, room });
    await stores.ledger.record(recordOf("one", [tombstone("one", ROOM, OTHER_ROOM)]));
    expect((await lineOf(stores)).replacement).toBe(OTHER_ROOM);
    await stores.ledger.record(recordOf("two", [tombstone("two", OTHER_ROOM, NEW_ROOM)]));
    expect((await lineOf(stores)).replacement).toBe(NEW_ROOM);
    await stores.ledger.record(recordOf("three", [tombstone("three", NEW_ROOM, ROOM)]));
    expect((await lineOf(stores)).replacement).toBe(NEW_ROOM);
  });

  test("know other rooms that call themselves so, where the pseudouser is", async () => {
    const stores = make().open();
    await stores.aliases.put(known(), 10);
    const named = (room: RoomId, id: string) =>
      state("m.room.canonical_alias", { alias: SQUARE }, { id: `${id}${room}`, room });
    const heard = [ROOM, OTHER_ROOM, NEW_ROOM].map((room) => named(room, "heard"));
    await stores.ledger.record(recordOf("heard", heard));
    expect((await lineOf(stores)).named).toEqual([]);
    await stores.ledger.record(recordOf("in", [member(OWN, "join", { id: "in", room: OTHER_ROOM })]));
    await stores.ledger.record(recordOf("told", [named(OTHER_ROOM, "told")]));
    expect((await lineOf(stores)).named).toEqual([OTHER_ROOM]);
    expect(await stores.aliases.attended(null, 10)).toEqual([OTHER_ROOM]);
  });
});

describe.each(DATABASES)("whether an ordinary user is in an alias's room, on $name", ({ make }) => {
  test.each<[string, readonly UserId[], boolean]>([
    ["us alone", [], false],
    ["pseudousers alone", [OTHER_PSEUDOUSER], false],
    ["somebody", [ALICE, OTHER_PSEUDOUSER], true],
  ])("of %s", async (_who, others, hasOrdinary) => {
    const stores = make().open();
    await enter(stores);
    await load(stores, ...others);
    expect((await facts(stores)).hasOrdinary).toBe(hasOrdinary);
  });

  test("is not known of a room that the ledger does not hold, but for those who were told of", async () => {
    const stores = make().open();
    expect((await facts(stores)).hasOrdinary).toBeNull();
    await enter(stores);
    expect((await facts(stores)).hasOrdinary).toBeNull();
    await stores.ledger.record(recordOf("alice", [member(ALICE, "join", { id: "alice" })]));
    expect((await facts(stores)).hasOrdinary).toBe(true);
  });
});
