import { describe, expect, test } from "vitest";
import type { LeaseWish, HolderKind } from "../../src/model/lease.ts";
import type { RoomAlias, RoomId } from "../../src/model/ids.ts";
import type { JsonObject } from "../../src/model/json.ts";
import { START } from "../support/clock.ts";
import { ALICE, BOB, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { bringAll, replace } from "../support/upgrading.ts";
import { DATABASES, type Stores, type TestDatabase } from "../support/storage.ts";

const HOUR = 60 * 60_000;
const LATER = START + 24 * HOUR;
const WHY = { code: "not-peekable", reason: "the room closed", atOnce: false };
const PEEKS = { kind: "peek", tenant: null, alias: null } as const;

let events = 0;

/** The pseudouser is in the room, the ledger holds it, and it was reviewed a day ago. */
async function attended(database: TestDatabase, room = ROOM, version = "11"): Promise<Stores> {
  const stores = database.open();
  await enter(stores, room, version);
  return stores;
}

async function enter({ ledger, loads, reviews }: Stores, room: RoomId, version = "11"): Promise<void> {
  await ledger.record(recordOf(`enter ${room}`, [member(OWN, "join", { id: `own ${room}`, room })]));
  const ticket = await loads.begin(room);
  const held = [
    state("m.room.create", { room_version: version }, { id: `create ${room}`, room }),
    state("m.room.join_rules", { join_rule: "public" }, { id: `rules ${room}`, room }),
    member(OWN, "join", { id: `own ${room}`, room }),
  ];
  await loads.part(ticket, recordOf("", held).changes, START - 24 * HOUR);
  await loads.finish(ticket, START - 24 * HOUR);
  for (const due of await reviews.due(LATER, 10)) await reviews.done(due, START - 24 * HOUR);
}

function wish(kind: HolderKind, name: string, more: Partial<LeaseWish> = {}): LeaseWish {
  return { roomId: ROOM, holder: { kind, name }, via: [], ttl: null, ...more };
}

async function happen({ ledger }: Stores, type: string, content: JsonObject, at = START, room = ROOM): Promise<void> {
  events += 1;
  await ledger.record(recordOf(`t${events}`, [state(type, content, { id: `e${events}`, room })], { receivedAt: at }));
}

async function dueRooms({ reviews }: Stores, now = LATER): Promise<RoomId[]> {
  return (await reviews.due(now, 10)).map(({ roomId }) => roomId);
}

describe.each(DATABASES)("reviews on $name", ({ make }) => {
  describe("a room that we are in is reviewed", () => {
    test.each<[string, JsonObject]>([
      ["m.room.join_rules", { join_rule: "invite" }],
      ["m.room.history_visibility", { history_visibility: "joined" }],
      ["m.room.server_acl", { deny: ["ours.example"] }],
      ["m.room.canonical_alias", { alias: "#bad:remote.example" }],
    ])("when %s changes, and that outlives a crash", async (type, content) => {
      const database = make();
      await happen(await attended(database), type, content);
      const stores = database.openAfterCrash();
      expect(await stores.reviews.due(START, 10)).toMatchObject([{ roomId: ROOM, isLoaded: true }]);
    });

    test("when it was loaded, and again when a later load finds what policy weighs otherwise", async () => {
      const stores = make().open();
      await stores.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
      const load = async (joinRule: string, id: string) => {
        const ticket = await stores.loads.begin(ROOM);
        const held = [state("m.room.join_rules", { join_rule: joinRule }, { id }), member(OWN, "join", { id: "own" })];
        await stores.loads.part(ticket, recordOf("", held).changes, START);
        await stores.loads.finish(ticket, START);
        const due = await stores.reviews.due(LATER, 10);
        for (const ticketDue of due) await stores.reviews.done(ticketDue, START);
        return due.length;
      };
      expect([await load("public", "1"), await load("public", "1"), await load("invite", "2")]).toEqual([1, 0, 1]);
    });

    test("when leases come into it with an upgrade", async () => {
      const stores = await attended(make());
      await enter(stores, NEW_ROOM);
      await stores.leases.book(wish("peek", "p"), START);
      for (const due of await stores.reviews.due(LATER, 10)) await stores.reviews.done(due, START);
      await replace(stores, ROOM, NEW_ROOM, START);
      for (const due of await stores.reviews.due(LATER, 10)) await stores.reviews.done(due, START);
      expect(await bringAll(stores, ROOM, NEW_ROOM, START)).toBe(1);
      expect(await dueRooms(stores)).toEqual([NEW_ROOM]);
    });

    test("when rules change, with all others; when tenants do, with those of tenants", async () => {
      const stores = await attended(make());
      await enter(stores, OTHER_ROOM);
      await stores.leases.book(wish("tenant", "telegram"), START);
      await stores.reviews.askAll("tenants", START);
      expect(await dueRooms(stores)).toEqual([ROOM]);
      await stores.reviews.askAll("all", START);
      expect((await dueRooms(stores)).sort()).toEqual([OTHER_ROOM, ROOM].sort());
    });

    test.each([
      ["org.matrix.msc1777.12", 1],
      ["12", 0],
    ])("when users come and go, if its version is one with vouchers (%s: %d)", async (version, times) => {
      const stores = await attended(make(), ROOM, version);
      const put = (id: string, name: string) =>
        stores.ledger.record(recordOf(id, [member(BOB, "join", { id, name })], { receivedAt: START }));
      await put("b1", "Bob");
      expect(await dueRooms(stores)).toHaveLength(times);
      for (const due of await stores.reviews.due(LATER, 10)) await stores.reviews.done(due, START);
      await put("b2", "Bobby");
      expect(await dueRooms(stores)).toHaveLength(0);
    });

    // Policy judged the room as it was, then it closed and was reviewed, and only then was the lease booked.
    test("when a lease is booked soon after a change: it may have been judged by what was before", async () => {
      const stores = await attended(make());
      await happen(stores, "m.room.join_rules", { join_rule: "invite" });
      for (const due of await stores.reviews.due(START, 10)) await stores.reviews.done(due, START);
      await stores.leases.book(wish("peek", "p"), START + 5_000);
      expect(await dueRooms(stores)).toEqual([ROOM]);
      for (const due of await stores.reviews.due(LATER, 10)) await stores.reviews.done(due, START + 5_000);
      await stores.leases.book(wish("peek", "q"), START + 120_000);
      expect(await dueRooms(stores)).toEqual([]);
    });
  });

  test.each<[string, JsonObject]>([
    ["m.room.name", { name: "n" }],
    ["m.room.topic", { topic: "t" }],
    ["m.room.join_rules", { join_rule: "public", more: 1 }],
  ])("what policy does not weigh causes no review: %s", async (type, content) => {
    const stores = await attended(make());
    await happen(stores, type, content);
    expect(await dueRooms(stores)).toEqual([]);
  });

  test("nor does a room that we are not in, or are out of by the time", async () => {
    const stores = await attended(make());
    await happen(stores, "m.room.join_rules", { join_rule: "invite" }, START, OTHER_ROOM);
    expect(await dueRooms(stores)).toEqual([]);
    await stores.leases.book(wish("tenant", "t"), START);
    await happen(stores, "m.room.join_rules", { join_rule: "invite" });
    await stores.ledger.record(recordOf("out", [member(OWN, "leave", { id: "out" })]));
    expect(await stores.reviews.classes(ROOM)).toEqual([]);
  });

  test("a room that flaps is reviewed at once, and then once in two seconds", async () => {
    const stores = await attended(make());
    let reviews = 0;
    for (let at = START; at < START + 60_000; at += 100) {
      await happen(stores, "m.room.join_rules", { join_rule: at % 200 === 0 ? "invite" : "public" }, at);
      for (const due of await stores.reviews.due(at, 10)) {
        reviews += 1;
        await stores.reviews.done(due, at);
      }
    }
    expect(reviews).toBe(30);
    expect(await stores.reviews.nextDue()).toBe(START + 60_000);
  });

  test("what changes while a room is reviewed has it reviewed again", async () => {
    const stores = await attended(make());
    await happen(stores, "m.room.join_rules", { join_rule: "invite" });
    const [ticket] = await stores.reviews.due(START, 1);
    await happen(stores, "m.room.join_rules", { join_rule: "public" });
    await stores.reviews.done(ticket!, START);
    expect([await dueRooms(stores, START), await dueRooms(stores)]).toEqual([[], [ROOM]]);
  });

  test("one lease stands for all that policy does not tell apart", async () => {
    const stores = await attended(make());
    const alias = "#a:remote.example" as RoomAlias;
    for (const name of ["p", "q", "r"]) await stores.leases.book(wish("peek", name), START);
    for (const name of ["s", "t"]) await stores.leases.book(wish("peek", name, { alias }), START);
    for (const name of ["telegram", "irc"]) await stores.leases.book(wish("tenant", name), START);
    expect((await stores.reviews.classes(ROOM)).map(({ holder }) => holder.name).sort()).toEqual([
      "irc",
      "p",
      "s",
      "telegram",
    ]);
  });

  test("leases of a class end refused, so many a commit; the others stay, and so do we", async () => {
    const stores = await attended(make());
    for (const name of ["p", "q", "r"]) await stores.leases.book(wish("peek", name), START);
    await stores.leases.book(wish("tenant", "telegram"), START);
    expect(await stores.reviews.refuse(ROOM, PEEKS, WHY, START, 2)).toBe(2);
    expect(await stores.reviews.refuse(ROOM, PEEKS, WHY, START, 2)).toBe(1);
    expect((await stores.leases.ofRoom(ROOM)).map(({ holder }) => holder.kind)).toEqual(["tenant"]);
    expect(await stores.leases.lastEnd(ROOM, { kind: "peek", name: "q" })).toBe("refused");
    expect((await stores.audit.newest(null, 1))[0]).toMatchObject({
      actor: "peek:r",
      action: "lease.end",
      outcome: "refused",
      detail: { code: "not-peekable", reason: "the room closed" },
    });
    expect((await stores.attendance.situation(ROOM)).attendance).not.toMatchObject({ phase: "refused" });
  });

  test.each([
    ["after the linger", false, null],
    ["at once", true, START],
  ])("with the last lease the attendance says why, and we are to leave %s", async (_when, atOnce, leaveAt) => {
    const stores = await attended(make());
    await stores.leases.book(wish("peek", "p"), START);
    await stores.reviews.refuse(ROOM, PEEKS, { ...WHY, atOnce }, START, 10);
    expect((await stores.attendance.situation(ROOM)).attendance).toMatchObject({
      phase: "refused",
      code: "not-peekable",
      reason: "the room closed",
      leaveAt,
      nextAt: START,
    });
  });
});

describe.each(DATABASES)("cool-downs on $name", ({ make }) => {
  test("grow with each strike, by their codes, and outlive a crash", async () => {
    const database = make();
    const { coolDowns } = database.open();
    await coolDowns.strike(ROOM, "put-out", "kicked", START);
    expect(await coolDowns.strike(ROOM, "put-out", "kicked", START)).toMatchObject({
      strikes: 2,
      until: START + HOUR / 3,
    });
    await coolDowns.strike(ROOM, "flooded", "too much", START);
    const reopened = database.openAfterCrash().coolDowns;
    expect(await reopened.of(ROOM, START)).toEqual({
      code: "flooded",
      reason: "too much",
      strikes: 1,
      until: START + HOUR,
    });
    expect(await reopened.of(ROOM, START + HOUR)).toBeNull();
    expect(await reopened.of(OTHER_ROOM, START)).toBeNull();
  });

  test("are forgotten in time", async () => {
    const { coolDowns } = make().open();
    await coolDowns.strike(ROOM, "flooded", "too much", START);
    await coolDowns.strike(OTHER_ROOM, "flooded", "too much", START + 5 * HOUR);
    expect(await coolDowns.strike(ROOM, "flooded", "too much", START + 5 * HOUR)).toMatchObject({ strikes: 1 });
  });

  test("of more than ten thousand rooms those go that would be forgotten first", async () => {
    const { coolDowns } = make().open();
    await coolDowns.strike(ROOM, "put-out", "kicked", START);
    for (let n = 0; n < 10_000; n += 1) await coolDowns.strike(`!r${n}` as RoomId, "flooded", "", START + 1);
    expect(await coolDowns.of(ROOM, START)).toBeNull();
    expect(await coolDowns.of("!r0" as RoomId, START)).not.toBeNull();
  }, 60_000);

  describe("are begun in one commit with their cause", () => {
    test("a join that the homeserver finds too complex", async () => {
      const database = make();
      const { leases, attendance } = database.open();
      const lease = await leases.book(wish("peek", "p"), START);
      await attendance.refuse(ROOM, "M_RESOURCE_LIMIT_EXCEEDED", "Room is too complex", START, lease.id);
      const stores = database.openAfterCrash();
      expect(await stores.coolDowns.of(ROOM, START)).toMatchObject({ code: "too-complex", until: START + 24 * HOUR });
      expect(await stores.leases.ofRoom(ROOM)).toEqual([]);
      await attendance.refuse(OTHER_ROOM, "M_FORBIDDEN", "no", START, lease.id);
      expect(await stores.coolDowns.of(OTHER_ROOM, START)).toBeNull();
    });

    test.each([
      ["a kick", "leave", "put-out"],
      ["a ban", "ban", "put-out"],
    ] as const)("%s; an invite ends it, and the next one is longer all the same", async (_what, membership, code) => {
      const database = make();
      let stores = await attended(database);
      const put = (id: string, to: "leave" | "ban" | "invite" | "join", sender = ALICE) =>
        stores.ledger.record(recordOf(id, [member(OWN, to, { id, sender })], { receivedAt: START }));
      await put("out", membership);
      stores = database.openAfterCrash();
      expect(await stores.coolDowns.of(ROOM, START)).toMatchObject({ code, strikes: 1 });
      await put("in", "invite");
      expect(await stores.coolDowns.of(ROOM, START)).toBeNull();
      await put("there", "join", OWN);
      await put("out again", membership);
      expect(await stores.coolDowns.of(ROOM, START)).toMatchObject({ code, strikes: 2 });
    });

    test("a leave of our own is none, nor is an invite that is taken back", async () => {
      const stores = await attended(make());
      await stores.ledger.record(recordOf("1", [member(OWN, "leave", { id: "1" })]));
      await stores.ledger.record(recordOf("2", [member(OWN, "invite", { id: "2", sender: ALICE })]));
      await stores.ledger.record(recordOf("3", [member(OWN, "leave", { id: "3", sender: ALICE })]));
      expect(await stores.coolDowns.of(ROOM, START)).toBeNull();
    });

    test("a flood: the leases end, and we are to leave at once", async () => {
      const database = make();
      const first = await attended(database);
      for (const kind of ["peek", "tenant"] as const) await first.leases.book(wish(kind, "x"), START);
      expect(await first.reviews.flood(ROOM, "too much", START)).toEqual({ ended: ["peek", "tenant"], isKept: false });
      const stores = database.openAfterCrash();
      expect(await stores.leases.ofRoom(ROOM)).toEqual([]);
      expect(await stores.coolDowns.of(ROOM, START)).toMatchObject({ code: "flooded", strikes: 1 });
      expect((await stores.attendance.situation(ROOM)).attendance).toMatchObject({ code: "flooded", leaveAt: START });
      // What still arrives until we are out is the same flood.
      await stores.reviews.flood(ROOM, "too much", START + 1);
      expect(await stores.coolDowns.of(ROOM, START)).toMatchObject({ strikes: 1 });
    });

    test("a flood where the operator wants us: that lease stays, the others end", async () => {
      const stores = await attended(make());
      for (const kind of ["peek", "operator"] as const) await stores.leases.book(wish(kind, "x"), START);
      expect(await stores.reviews.flood(ROOM, "too much", START)).toEqual({ ended: ["peek"], isKept: true });
      expect((await stores.attendance.situation(ROOM)).attendance).toMatchObject({ leaveAt: null });
    });

    test("a flood of a room that we have left by now is none", async () => {
      const stores = await attended(make());
      await stores.attendance.noteLeave(ROOM);
      await stores.ledger.record(recordOf("out", [member(OWN, "leave", { id: "out" })]));
      expect(await stores.reviews.flood(ROOM, "too much", START)).toBeNull();
      expect(await stores.coolDowns.of(ROOM, START)).toBeNull();
    });
  });
});
