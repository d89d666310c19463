import { describe, expect, test } from "vitest";
import { foldEvent } from "../../src/ledger/fold.ts";
import type { LoadTicket } from "../../src/ledger/store/changes.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { UserId } from "../../src/model/ids.ts";
import { START } from "../support/clock.ts";
import {
  ALICE,
  BOB,
  CAROL,
  member,
  message,
  NEW_ROOM,
  OTHER_ROOM,
  OWN,
  recordOf,
  ROOM,
  state,
} from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const own = member(OWN, "join", { id: "own" });
let transactions = 0;

/** The homeserver sends these events now. */
async function live(stores: Stores, ...events: RoomEvent[]): Promise<void> {
  transactions += 1;
  await stores.ledger.record(recordOf(String(transactions), events, { receivedAt: START + transactions }));
}

/** A part of the fetched state arrives. */
async function fetched(stores: Stores, ticket: LoadTicket, ...events: RoomEvent[]): Promise<void> {
  await stores.loads.part(
    ticket,
    events.flatMap((event) => foldEvent(event, OWN)),
    START,
  );
}

async function load(stores: Stores, ...events: RoomEvent[]): Promise<void> {
  const ticket = await stores.loads.begin(ROOM);
  await fetched(stores, ticket, ...events);
  await stores.loads.finish(ticket, 1);
}

/** Who is in what standing, and by which event, as the ledger has it. */
async function standing(stores: Stores): Promise<Record<string, string>> {
  const members = await stores.ledger.members(ROOM, { membership: null, after: null, limit: 1_000 });
  return Object.fromEntries(members.map(({ userId, membership, eventId }) => [userId, `${membership} ${eventId}`]));
}

describe.each(DATABASES)("loading a room on $name", ({ make }) => {
  test("brings the state and the members that it had before we joined", async () => {
    const stores = make().open();
    await live(stores, own);
    await load(
      stores,
      own,
      member(BOB, "join", { id: "bob" }),
      state("m.room.name", { name: "Lobby" }, { id: "name" }),
    );
    expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "loaded", name: "Lobby", ownMembership: "join" });
    expect(await standing(stores)).toEqual({ [OWN]: "join $own", [BOB]: "join $bob" });
    expect(await stores.loads.due(Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
    expect(await stores.loads.nextDue()).toBeNull();
  });

  describe("while its events go on arriving", () => {
    test("what an event brought after the load began stays, whatever the fetched state says", async () => {
      const stores = make().open();
      await live(stores, own);
      const ticket = await stores.loads.begin(ROOM);
      await live(
        stores,
        member(BOB, "leave", { id: "bob-2", replaces: "bob-1" }),
        state("m.room.name", { name: "New" }, { id: "name-2", replaces: "name-1" }),
      );
      await fetched(
        stores,
        ticket,
        own,
        member(BOB, "join", { id: "bob-1" }),
        state("m.room.name", { name: "Old" }, { id: "name-1" }),
      );
      await stores.loads.finish(ticket, 1);
      expect(await standing(stores)).toEqual({ [OWN]: "join $own", [BOB]: "leave $bob-2" });
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "loaded", name: "New" });
    });

    test("an event after its member was fetched counts", async () => {
      const stores = make().open();
      await live(stores, own);
      const ticket = await stores.loads.begin(ROOM);
      await fetched(stores, ticket, own, member(BOB, "join", { id: "bob-1" }));
      await live(stores, member(BOB, "ban", { id: "bob-2", sender: ALICE, replaces: "bob-1" }));
      await stores.loads.finish(ticket, 1);
      expect(await standing(stores)).toEqual({ [OWN]: "join $own", [BOB]: "ban $bob-2" });
    });

    test("who came in an event only, after the load began, stays", async () => {
      const stores = make().open();
      await live(stores, own);
      const ticket = await stores.loads.begin(ROOM);
      await live(stores, member(CAROL, "join", { id: "carol" }), message({ id: "m" }));
      await fetched(stores, ticket, own);
      await stores.loads.finish(ticket, 1);
      expect(await standing(stores)).toEqual({ [OWN]: "join $own", [CAROL]: "join $carol" });
    });

    test("events of other rooms have no part in it", async () => {
      const stores = make().open();
      await live(stores, own, member(BOB, "join", { id: "bob-1" }));
      const ticket = await stores.loads.begin(ROOM);
      await live(stores, member(BOB, "leave", { id: "elsewhere", room: OTHER_ROOM }));
      await fetched(stores, ticket, own, member(BOB, "leave", { id: "bob-2" }));
      await stores.loads.finish(ticket, 1);
      expect(await standing(stores)).toEqual({ [OWN]: "join $own", [BOB]: "leave $bob-2" });
    });
  });

  test("what was held before and the fetched state no longer has is removed", async () => {
    const stores = make().open();
    await live(
      stores,
      own,
      member(BOB, "join", { id: "lost-fork" }),
      state("m.room.encryption", { algorithm: "a" }, { id: "e" }),
    );
    await load(stores, own, member(ALICE, "join", { id: "alice" }));
    expect(await standing(stores)).toEqual({ [OWN]: "join $own", [ALICE]: "join $alice" });
    expect(await stores.ledger.room(ROOM)).toMatchObject({ encryption: null });
  });

  test("a second load replaces what the first brought", async () => {
    const stores = make().open();
    await live(stores, own);
    await load(stores, own, member(BOB, "join", { id: "bob-1" }), member(CAROL, "join", { id: "carol" }));
    await load(stores, own, member(BOB, "leave", { id: "bob-2" }));
    expect(await standing(stores)).toEqual({ [OWN]: "join $own", [BOB]: "leave $bob-2" });
  });

  test("a load cut off by a crash begins anew and leaves nothing of its own behind", async () => {
    const database = make();
    const before = database.open();
    await live(before, own);
    const ticket = await before.loads.begin(ROOM);
    await fetched(before, ticket, own, member(BOB, "join", { id: "gone-meanwhile" }));

    const after = database.openAfterCrash();
    expect(await after.loads.due(Number.MAX_SAFE_INTEGER, 10)).toEqual([{ roomId: ROOM, drop: false }]);
    await load(after, own, member(CAROL, "join", { id: "carol" }));
    expect(await standing(after)).toEqual({ [OWN]: "join $own", [CAROL]: "join $carol" });
  });

  test("each load of a room is of a later generation, and knows how far the journal was", async () => {
    const stores = make().open();
    await live(stores, own, message({ id: "m" }));
    const first = await stores.loads.begin(ROOM);
    expect(first).toMatchObject({ roomId: ROOM, fromSeq: 2 });
    await live(stores, message({ id: "n" }));
    const second = await stores.loads.begin(ROOM);
    expect(second.fromSeq).toBe(3);
    expect(second.generation).toBeGreaterThan(first.generation);
  });

  describe("when we leave", () => {
    const users = Array.from({ length: 25 }, (_, index) => `@u${index}:remote.example` as UserId);

    test("the members are dropped in parts, and our own row stays", async () => {
      const stores = make().open();
      await live(stores, own);
      await load(stores, own, ...users.map((user) => member(user, "join", { id: user })));
      await live(stores, member(OWN, "leave", { id: "own-2", sender: ALICE, replaces: "own" }));

      let parts = 0;
      for (let left = users.length; !(await stores.loads.drop(ROOM, 10)); parts += 1) {
        const now = Object.keys(await standing(stores)).length - 1;
        expect(left - now).toBeLessThanOrEqual(10);
        left = now;
      }
      expect(parts).toBe(3);
      expect(await standing(stores)).toEqual({ [OWN]: "leave $own-2" });
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "none", ownMembership: "leave" });
      expect(await stores.loads.nextDue()).toBeNull();
    });

    test("in the middle of a load, that load does not make the room a loaded one", async () => {
      const stores = make().open();
      await live(stores, own);
      const ticket = await stores.loads.begin(ROOM);
      await fetched(stores, ticket, own, member(BOB, "join", { id: "bob" }));
      await live(stores, member(OWN, "leave", { id: "own-2", replaces: "own" }));
      await fetched(stores, ticket, member(ALICE, "join", { id: "alice" }));
      await stores.loads.finish(ticket, 1);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "stale", ownMembership: "leave" });
      while (!(await stores.loads.drop(ROOM, 10)));
      expect(await standing(stores)).toEqual({ [OWN]: "leave $own-2" });
    });

    test("and come back before all is dropped, what is left is not dropped but loaded", async () => {
      const stores = make().open();
      await live(stores, own);
      await load(stores, own, ...users.map((user) => member(user, "join", { id: user })));
      await live(stores, member(OWN, "leave", { id: "own-2", replaces: "own" }));
      expect(await stores.loads.drop(ROOM, 10)).toBe(false);
      await live(stores, member(OWN, "join", { id: "own-3", replaces: "own-2" }));
      const left = await standing(stores);
      expect(await stores.loads.drop(ROOM, 10)).toBe(true);
      expect(await standing(stores)).toEqual(left);
      expect(await stores.loads.due(Number.MAX_SAFE_INTEGER, 10)).toEqual([{ roomId: ROOM, drop: false }]);
    });

    // While we are out of a room the homeserver tells us nothing of it. A load that began before we left and ended after we
    // had come back called the room loaded, with the members of before: who joined meanwhile was missing until the next doubt.
    test("and come back in the middle of a load, the room is loaded again from its present state", async () => {
      const stores = make().open();
      await live(stores, own);
      const ticket = await stores.loads.begin(ROOM);
      await fetched(stores, ticket, own, member(BOB, "join", { id: "bob" }));
      await live(stores, member(OWN, "leave", { id: "own-2", replaces: "own" }));
      await live(stores, member(OWN, "join", { id: "own-3", replaces: "own-2" }));
      await stores.loads.finish(ticket, 1);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "wanted" });
    });

    test("the same, where the clock was set back meanwhile", async () => {
      const stores = make().open();
      await live(stores, own);
      const ticket = await stores.loads.begin(ROOM);
      const back = { receivedAt: START - 60_000 };
      await stores.ledger.record(recordOf("out", [member(OWN, "leave", { id: "own-2", replaces: "own" })], back));
      await stores.ledger.record(recordOf("in", [member(OWN, "join", { id: "own-3", replaces: "own-2" })], back));
      await stores.loads.finish(ticket, 1);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "wanted" });
    });
  });

  // The load's answer may be the first to tell that we were kicked. Leases went on then, the later event of the kick changed
  // nothing (it was known), and the keeper joined again: a kicked pseudouser came back at once.
  test("a kick that the fetched state tells of ends the leases as the event would have", async () => {
    const stores = make().open();
    const holder = { kind: "tenant", name: "telegram" } as const;
    await stores.leases.book({ roomId: ROOM, holder, via: [], ttl: null }, 1);
    await live(stores, own);
    const kick = member(OWN, "leave", { id: "kick", sender: ALICE, replaces: "own" });
    const ticket = await stores.loads.begin(ROOM);
    await fetched(stores, ticket, kick);
    await live(stores, kick);
    await stores.loads.finish(ticket, 1);
    expect(await stores.leases.ofRoom(ROOM)).toEqual([]);
    expect(await stores.leases.lastEnd(ROOM, holder)).toBe("kicked");
  });

  describe("waiting for their turn", () => {
    test("rooms come in the order of their time, and at most as many as asked for", async () => {
      const stores = make().open();
      await stores.ledger.record(
        recordOf("a", [member(OWN, "join", { id: "1", room: OTHER_ROOM })], { receivedAt: 30 }),
      );
      await stores.ledger.record(recordOf("b", [member(OWN, "join", { id: "2", room: NEW_ROOM })], { receivedAt: 10 }));
      await stores.ledger.record(recordOf("c", [member(OWN, "join", { id: "3", room: ROOM })], { receivedAt: 20 }));
      expect(await stores.loads.nextDue()).toBe(10);
      expect(await stores.loads.due(9, 10)).toEqual([]);
      expect((await stores.loads.due(20, 10)).map(({ roomId }) => roomId)).toEqual([NEW_ROOM, ROOM]);
      expect((await stores.loads.due(99, 1)).map(({ roomId }) => roomId)).toEqual([NEW_ROOM]);
    });

    test("one that failed comes again at its new time", async () => {
      const stores = make().open();
      await live(stores, own);
      await stores.loads.postpone(ROOM, 5_000_000_000_000);
      expect(await stores.loads.due(4_999_999_999_999, 10)).toEqual([]);
      expect(await stores.loads.nextDue()).toBe(5_000_000_000_000);
    });
  });
});
