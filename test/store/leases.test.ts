import { describe, expect, test } from "vitest";
import type { RoomId } from "../../src/model/ids.ts";
import { HOLDER_KINDS, type Holder, type LeaseWish } from "../../src/model/lease.ts";
import { ALICE, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const TELEGRAM: Holder = { kind: "tenant", name: "telegram" };
const IRC: Holder = { kind: "tenant", name: "irc" };
const CLI: Holder = { kind: "operator", name: "operator" };
const NOBODY: ReadonlySet<RoomId> = new Set();
const FOREVER = Number.MAX_SAFE_INTEGER;

function wish(holder: Holder, ttl: number | null = null, roomId = ROOM): LeaseWish {
  return { roomId, holder, via: [], ttl };
}

async function holdersIn(stores: Stores, roomId: RoomId): Promise<string[]> {
  return (await stores.leases.ofRoom(roomId)).map(({ holder }) => holder.name);
}

describe.each(DATABASES)("leases on $name", ({ make }) => {
  test("a lease is booked, found, and released once", async () => {
    const { leases } = make().open();
    const lease = await leases.book(wish(TELEGRAM, 60_000), 1_000);
    expect(lease).toMatchObject({ roomId: ROOM, holder: TELEGRAM, takenAt: 1_000, expiresAt: 61_000 });
    expect(await leases.find(ROOM, TELEGRAM)).toEqual(lease);
    expect(await leases.ofRoom(ROOM)).toEqual([lease]);
    expect(await leases.lastEnd(ROOM, TELEGRAM)).toBeNull();

    expect(await leases.end(ROOM, TELEGRAM, "released", 2_000)).toBe(true);
    expect(await leases.end(ROOM, TELEGRAM, "released", 2_000)).toBe(false);
    expect(await leases.find(ROOM, TELEGRAM)).toBeNull();
    expect(await leases.lastEnd(ROOM, TELEGRAM)).toBe("released");
  });

  test("a room or a holder that nobody heard of has none", async () => {
    const { leases } = make().open();
    expect(await leases.find(ROOM, TELEGRAM)).toBeNull();
    expect(await leases.lastEnd(ROOM, TELEGRAM)).toBeNull();
    expect(await leases.ofRoom(ROOM)).toEqual([]);
    expect(await leases.end(ROOM, TELEGRAM, "released", 1)).toBe(false);
    expect(await leases.nextExpiry()).toBeNull();
    expect(await leases.expire(FOREVER, 10)).toBe(0);
  });

  test("a holder's second wish for a room renews the lease that it has", async () => {
    const { leases } = make().open();
    const first = await leases.book(wish(TELEGRAM, 60_000), 1_000);
    const second = await leases.book(wish(TELEGRAM, 60_000), 5_000);
    expect(second).toEqual({ ...first, expiresAt: 65_000 });
    expect(await leases.ofRoom(ROOM)).toHaveLength(1);
    expect(await leases.book(wish(TELEGRAM, null), 6_000)).toEqual({ ...first, expiresAt: null });
  });

  test("each holder has its own in a room, also under one name in two kinds", async () => {
    const { leases } = make().open();
    for (const kind of HOLDER_KINDS) await leases.book(wish({ kind, name: "same" }), 1);
    expect((await leases.ofRoom(ROOM)).map(({ holder }) => holder.kind)).toEqual([...HOLDER_KINDS]);
    await leases.end(ROOM, { kind: "peek", name: "same" }, "released", 2);
    expect(await leases.ofRoom(ROOM)).toHaveLength(HOLDER_KINDS.length - 1);
  });

  test("after a release the next wish makes a new lease", async () => {
    const { leases } = make().open();
    const first = await leases.book(wish(TELEGRAM), 1);
    await leases.end(ROOM, TELEGRAM, "released", 2);
    const second = await leases.book(wish(TELEGRAM), 3);
    expect(second.id).not.toBe(first.id);
  });

  test("leases outlive a crash", async () => {
    const database = make();
    const lease = await database.open().leases.book(wish(TELEGRAM), 1);
    expect(await database.openAfterCrash().leases.ofRoom(ROOM)).toEqual([lease]);
  });

  describe("expiry", () => {
    test("ends those whose time is over, and no other", async () => {
      const { leases } = make().open();
      await leases.book(wish(TELEGRAM, 1_000), 0);
      await leases.book(wish(IRC, 2_000), 0);
      await leases.book(wish(CLI, null), 0);
      expect(await leases.nextExpiry()).toBe(1_000);
      expect(await leases.expire(999, 10)).toBe(0);
      expect(await leases.expire(1_000, 10)).toBe(1);
      expect(await leases.lastEnd(ROOM, TELEGRAM)).toBe("expired");
      expect(await leases.nextExpiry()).toBe(2_000);
      expect(await leases.expire(FOREVER, 10)).toBe(1);
      expect(await leases.nextExpiry()).toBeNull();
      expect(await leases.find(ROOM, CLI)).not.toBeNull();
    });

    test("of many goes in batches, the longest overdue first", async () => {
      const { leases } = make().open();
      for (let n = 5; n >= 1; n -= 1) await leases.book(wish({ kind: "peek", name: `p${n}` }, n), 0);
      expect(await leases.expire(10, 2)).toBe(2);
      expect((await leases.ofRoom(ROOM)).map(({ holder }) => holder.name).sort()).toEqual(["p3", "p4", "p5"]);
      expect(await leases.expire(10, 2)).toBe(2);
      expect(await leases.expire(10, 2)).toBe(1);
      expect(await leases.expire(10, 2)).toBe(0);
    });

    test("why a lease ended is told for days, and not for ever", async () => {
      const { leases } = make().open();
      const day = 24 * 60 * 60 * 1000;
      await leases.book(wish(TELEGRAM), 0);
      await leases.end(ROOM, TELEGRAM, "released", 0);
      await leases.expire(2 * day, 10);
      expect(await leases.lastEnd(ROOM, TELEGRAM)).toBe("released");
      // The newest of all changes to leases stays, since it numbers the next.
      await leases.expire(365 * day, 10);
      expect(await leases.lastEnd(ROOM, TELEGRAM)).toBe("released");
      await leases.book(wish(IRC), 365 * day);
      await leases.expire(365 * day, 10);
      expect(await leases.lastEnd(ROOM, TELEGRAM)).toBeNull();
    });
  });

  describe("each change has the keeper look at the room", () => {
    test.each<[string, (stores: Stores) => Promise<unknown>]>([
      ["booking", ({ leases }) => leases.book(wish(TELEGRAM), 700)],
      ["releasing", ({ leases }) => leases.end(ROOM, IRC, "released", 700)],
      ["expiring", ({ leases }) => leases.expire(700, 10)],
    ])("%s", async (_what, change) => {
      const stores = make().open();
      await stores.leases.book(wish(IRC, 100), 0);
      const { attendance, revision } = await stores.attendance.situation(ROOM);
      await stores.attendance.save({ ...attendance, nextAt: null }, revision);
      await change(stores);
      expect(await stores.attendance.due(700, 10, NOBODY)).toEqual([ROOM]);
      expect(await stores.attendance.due(699, 10, NOBODY)).toEqual([]);
    });
  });

  describe("when somebody puts the pseudouser out", () => {
    test.each([
      ["leave", "kicked"],
      ["ban", "banned"],
    ] as const)("a %s by another user ends all leases there as %s, and only there", async (membership, end) => {
      const stores = make().open();
      await stores.leases.book(wish(TELEGRAM), 1);
      await stores.leases.book(wish(CLI), 1);
      await stores.leases.book(wish(TELEGRAM, null, OTHER_ROOM), 1);
      await stores.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
      await stores.ledger.record(
        recordOf("2", [member(OWN, membership, { id: "out", sender: ALICE, replaces: "own" })]),
      );
      expect(await stores.leases.ofRoom(ROOM)).toEqual([]);
      expect(await stores.leases.lastEnd(ROOM, TELEGRAM)).toBe(end);
      expect(await stores.leases.lastEnd(ROOM, CLI)).toBe(end);
      expect(await holdersIn(stores, OTHER_ROOM)).toEqual(["telegram"]);
      const { attendance } = await stores.attendance.situation(ROOM);
      expect(attendance).toMatchObject({ phase: "refused", code: end });
      expect(attendance.reason).toContain(ALICE);
    });

    test("its own leaving ends none: the lease came while the keeper left", async () => {
      const stores = make().open();
      await stores.leases.book(wish(TELEGRAM), 1);
      await stores.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
      await stores.attendance.noteLeave(ROOM);
      await stores.ledger.record(recordOf("2", [member(OWN, "leave", { id: "out" })]));
      expect(await holdersIn(stores, ROOM)).toEqual(["telegram"]);
    });

    test("a kick told of by two roads ends the leases once: one booked since then stays", async () => {
      const stores = make().open();
      const kick = member(OWN, "leave", { id: "kick", sender: ALICE });
      await stores.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
      await stores.leases.book(wish(TELEGRAM), 1);
      await stores.ledger.observe(recordOf("", [kick]).changes, Number.MAX_SAFE_INTEGER, 2);
      expect(await stores.leases.lastEnd(ROOM, TELEGRAM)).toBe("kicked");
      await stores.leases.book(wish(TELEGRAM), 3);
      await stores.ledger.record(recordOf("2", [kick]));
      expect(await holdersIn(stores, ROOM)).toEqual(["telegram"]);
    });

    // An unban is a `leave` that somebody else sends, like a kick. It ended the leases of those who were just waiting for it.
    test.each(["ban", "invite", "knock"] as const)(
      "a leave by another after a %s is no kick: nobody is put out of a room that we are not in",
      async (before) => {
        const stores = make().open();
        await stores.ledger.record(recordOf("1", [member(OWN, before, { id: "before", sender: ALICE })]));
        await stores.leases.book(wish(TELEGRAM), 1);
        await stores.ledger.record(recordOf("2", [member(OWN, "leave", { id: "after", sender: ALICE })]));
        expect(await holdersIn(stores, ROOM)).toEqual(["telegram"]);
      },
    );

    test("a ban from a room where nobody has a lease ends nothing", async () => {
      const stores = make().open();
      await stores.ledger.record(recordOf("1", [member(OWN, "ban", { id: "ban", sender: ALICE })]));
      expect(await stores.leases.ofRoom(ROOM)).toEqual([]);
    });
  });

  test("the rooms of a holder are those where it has a lease and the pseudouser is present", async () => {
    const stores = make().open();
    for (const room of [ROOM, OTHER_ROOM, NEW_ROOM]) await stores.leases.book(wish(TELEGRAM, null, room), 1);
    await stores.leases.book(wish(IRC), 1);
    await stores.ledger.record(
      recordOf("1", [member(OWN, "join", { id: "1" }), member(OWN, "join", { id: "2", room: OTHER_ROOM })]),
    );
    expect(await stores.leases.presentRoomsOf(TELEGRAM)).toEqual([OTHER_ROOM, ROOM]);
    expect(await stores.leases.presentRoomsOf(IRC)).toEqual([ROOM]);
    await stores.leases.end(ROOM, TELEGRAM, "released", 2);
    expect(await stores.leases.presentRoomsOf(TELEGRAM)).toEqual([OTHER_ROOM]);
    expect(await stores.leases.presentRoomsOf(CLI)).toEqual([]);
  });

  describe("in the audit", () => {
    test("taking and ending each leave a row in the holder's name, and renewing one where it changes more than the time", async () => {
      const { leases, audit } = make().open();
      for (const holder of [TELEGRAM, CLI]) {
        await leases.book(wish(holder), 1);
        for (let time = 0; time < 300; time += 1) await leases.book(wish(holder), 2);
        await leases.book({ ...wish(holder), ttl: 1_000 }, 2);
        for (let time = 0; time < 300; time += 1) await leases.book({ ...wish(holder), ttl: 1_000 + time }, 2);
        await leases.end(ROOM, holder, "released", 3);
      }
      const rows = (await audit.newest(null, 10)).toReversed();
      expect(rows.map(({ actor, action, outcome, at }) => [actor, action, outcome, at])).toEqual([
        ["tenant:telegram", "lease.take", "done", 1],
        ["tenant:telegram", "lease.renew", "done", 2],
        ["tenant:telegram", "lease.end", "released", 3],
        ["operator", "lease.take", "done", 1],
        ["operator", "lease.renew", "done", 2],
        ["operator", "lease.end", "released", 3],
      ]);
    });
  });
});
