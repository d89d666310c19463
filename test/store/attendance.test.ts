import { describe, expect, test } from "vitest";
import type { Attendance } from "../../src/attendance/attendance.ts";
import type { RoomId, ServerName } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { ALICE, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

/** Above the ID of any lease: a refusal of all there are. */
const ALL = Number.MAX_SAFE_INTEGER;

const TELEGRAM: Holder = { kind: "tenant", name: "telegram" };
const NOBODY: ReadonlySet<RoomId> = new Set();

function attendance(roomId: RoomId, more: Partial<Attendance> = {}): Attendance {
  const rest = { tries: 0, nextAt: null, retryAt: null, leaveAt: null, code: null, reason: null };
  return { roomId, phase: "absent", since: 0, ...rest, ...more };
}

/** Brings a room's attendance into this state. */
async function arrange(stores: Stores, roomId: RoomId, more: Partial<Attendance> = {}): Promise<Attendance> {
  const passing: Holder = { kind: "watch", name: "of a test" };
  await stores.leases.book({ roomId, holder: passing, via: [], ttl: null }, 0);
  await stores.leases.end(roomId, passing, "released", 0);
  const { revision } = await stores.attendance.situation(roomId);
  const wanted = attendance(roomId, more);
  expect(await stores.attendance.save(wanted, revision)).toBe(true);
  return wanted;
}

async function book(stores: Stores, roomId = ROOM, via: readonly string[] = []) {
  return stores.leases.book({ roomId, holder: TELEGRAM, via: via as ServerName[], ttl: null }, 1);
}

describe.each(DATABASES)("attendance on $name", ({ make }) => {
  test("what is saved is read again, with all that a decision needs", async () => {
    const database = make();
    const stores = database.open();
    const lease = await book(stores, ROOM, ["a.example"]);
    await stores.ledger.record(recordOf("1", [member(OWN, "invite", { id: "i", sender: ALICE })]));
    const saved = await arrange(stores, ROOM, {
      phase: "joining",
      since: 5,
      tries: 3,
      nextAt: 6,
      retryAt: 7,
      leaveAt: 8,
      code: "M_UNKNOWN",
      reason: "it's late",
    });
    expect(await database.openAfterCrash().attendance.situation(ROOM)).toMatchObject({
      attendance: saved,
      ownMembership: "invite",
      leases: [lease],
      via: ["a.example"],
    });
  });

  describe("a decision that was made before something happened in the room is not written", () => {
    test.each<[string, (stores: Stores) => Promise<unknown>]>([
      ["a lease was booked", (stores) => book(stores)],
      ["a lease was booked that is there already", async (stores) => book(stores).then(() => book(stores))],
      ["our membership changed", ({ ledger }) => ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]))],
      ["the homeserver refused us", ({ attendance: store }) => store.refuse(ROOM, "M_FORBIDDEN", "no", 60, ALL)],
    ])("%s", async (_what, happen) => {
      const stores = make().open();
      await arrange(stores, ROOM, { phase: "joining" });
      const { revision } = await stores.attendance.situation(ROOM);
      await happen(stores);
      const before = await stores.attendance.situation(ROOM);
      expect(await stores.attendance.save(attendance(ROOM, { phase: "present" }), revision)).toBe(false);
      expect(await stores.attendance.situation(ROOM)).toEqual(before);
      expect(before.attendance.nextAt).not.toBeNull();
      expect(await stores.attendance.save(attendance(ROOM, { phase: "present" }), before.revision)).toBe(true);
    });

    test("what happened in another room is no hindrance", async () => {
      const stores = make().open();
      await arrange(stores, ROOM);
      const { revision } = await stores.attendance.situation(ROOM);
      await book(stores, OTHER_ROOM);
      expect(await stores.attendance.save(attendance(ROOM, { phase: "present" }), revision)).toBe(true);
    });

    test("nor is one of a room that nobody ever wanted", async () => {
      expect(await make().open().attendance.save(attendance(ROOM), 0)).toBe(false);
    });
  });

  test("of a room that nobody ever wanted there is none", async () => {
    await expect(make().open().attendance.situation(ROOM)).rejects.toThrow();
  });

  describe("whose time has come", () => {
    async function three(): Promise<Stores["attendance"]> {
      const stores = make().open();
      await arrange(stores, ROOM, { nextAt: 30 });
      await arrange(stores, OTHER_ROOM, { nextAt: 10 });
      await arrange(stores, NEW_ROOM, { nextAt: null });
      return stores.attendance;
    }

    test("the longest waiting comes first, and a room that waits for nothing never does", async () => {
      const store = await three();
      expect(await store.due(9, 10, NOBODY)).toEqual([]);
      expect(await store.due(10, 10, NOBODY)).toEqual([OTHER_ROOM]);
      expect(await store.due(99, 10, NOBODY)).toEqual([OTHER_ROOM, ROOM]);
      expect(await store.due(99, 1, NOBODY)).toEqual([OTHER_ROOM]);
    });

    test("rooms in hand are left out", async () => {
      const store = await three();
      expect(await store.due(99, 10, new Set([OTHER_ROOM]))).toEqual([ROOM]);
      expect(await store.nextDue(NOBODY)).toBe(10);
      expect(await store.nextDue(new Set([OTHER_ROOM]))).toBe(30);
      expect(await store.nextDue(new Set([OTHER_ROOM, ROOM]))).toBeNull();
    });

    const room = (nr: number): RoomId => `!room${nr}:remote.example` as RoomId;
    const wanted = (stores: Stores, nr: number, kind: Holder["kind"], name: string) =>
      stores.leases.book({ roomId: room(nr), holder: { kind, name }, via: [], ttl: null }, nr);

    test("each who waits has a turn before anybody has a second", async () => {
      const stores = make().open();
      for (const nr of [1, 2, 3]) await wanted(stores, nr, "peek", `greedy.device${nr}`);
      await wanted(stores, 4, "tenant", "telegram");
      await wanted(stores, 5, "peek", "modest");
      expect(await stores.attendance.due(9, 10, NOBODY)).toEqual([1, 4, 5, 2, 3].map(room));
      // Greedy had the last turn.
      expect(await stores.attendance.due(9, 2, NOBODY)).toEqual([4, 5].map(room));
      await wanted(stores, 6, "peek", "late");
      expect(await stores.attendance.due(9, 1, NOBODY)).toEqual([room(6)]);
    });

    test("a room for which nobody waits comes after those, and is not put off for ever", async () => {
      const stores = make().open();
      await wanted(stores, 1, "invite", "@bob:ours.example");
      for (const nr of [2, 3]) await wanted(stores, nr, "peek", "greedy");
      const first: RoomId[] = [];
      for (let nr = 0; nr < 8; nr += 1) first.push(...(await stores.attendance.due(9, 1, NOBODY)));
      expect(first.filter((roomId) => roomId === room(1))).toHaveLength(2);
      expect(await stores.attendance.due(9, 10, NOBODY)).toEqual([2, 3, 1].map(room));
    });

    test("an invite alone is nothing to do", async () => {
      const stores = make().open();
      await stores.ledger.record(recordOf("1", [member(OWN, "invite", { id: "i", sender: ALICE })]));
      expect(await stores.attendance.due(99, 10, NOBODY)).toEqual([]);
      expect(await stores.attendance.situation(ROOM)).toMatchObject({ ownMembership: "invite", leases: [] });
    });

    test("a room in hand whose ID holds quotes is left out too", async () => {
      const stores = make().open();
      const store = stores.attendance;
      const odd = `!it's "odd" \\ %:remote.example` as RoomId;
      await arrange(stores, odd, { nextAt: 1 });
      expect(await store.due(9, 10, NOBODY)).toEqual([odd]);
      expect(await store.due(9, 10, new Set([odd]))).toEqual([]);
    });
  });

  describe("after a start", () => {
    test.each([
      ["joining", true],
      ["leaving", true],
      ["absent", false],
      ["refused", false],
    ] as const)("a room that was %s is looked at: %s", async (phase, looked) => {
      const stores = make().open();
      const store = stores.attendance;
      await arrange(stores, ROOM, { phase, nextAt: null, tries: 2, code: "c", reason: "r" });
      await store.recover(50);
      expect(await store.due(50, 10, NOBODY)).toEqual(looked ? [ROOM] : []);
      expect((await store.situation(ROOM)).attendance).toMatchObject({ phase, tries: 2, code: "c" });
    });

    test("a room that we are in without having known is looked at", async () => {
      const stores = make().open();
      const ticket = await stores.loads.begin(ROOM);
      await stores.loads.part(ticket, recordOf("", [member(OWN, "join", { id: "own" })]).changes, 1);
      await stores.attendance.recover(50);
      expect(await stores.attendance.due(50, 10, NOBODY)).toEqual([ROOM]);
      expect(await stores.attendance.situation(ROOM)).toMatchObject({ ownMembership: "join", leases: [] });
    });

    test("it may be called again and again", async () => {
      const stores = make().open();
      const store = stores.attendance;
      await arrange(stores, ROOM, { phase: "joining" });
      await store.recover(50);
      await store.recover(60);
      expect(await store.due(60, 10, NOBODY)).toEqual([ROOM]);
    });
  });

  describe("a refusal", () => {
    test("ends the room's leases, and is told to whoever asks", async () => {
      const stores = make().open();
      const lease = await book(stores);
      const elsewhere = await book(stores, OTHER_ROOM);
      await stores.attendance.refuse(ROOM, "M_FORBIDDEN", "You are not invited to this room.", 70, ALL);
      expect(await stores.leases.ofRoom(ROOM)).toEqual([]);
      expect(await stores.leases.lastEnd(ROOM, TELEGRAM)).toBe("refused");
      expect(await stores.attendance.progress(lease.id)).toEqual({
        present: false,
        ended: "refused",
        code: "M_FORBIDDEN",
        reason: "You are not invited to this room.",
      });
      expect(await stores.attendance.progress(elsewhere.id)).toMatchObject({ ended: null });
      expect((await stores.attendance.situation(ROOM)).attendance).toMatchObject({
        phase: "refused",
        since: 70,
        tries: 0,
        retryAt: null,
        code: "M_FORBIDDEN",
      });
    });

    // The join that was refused did not know the routes of a lease booked meanwhile.
    test("is none to a lease that was booked after the try began", async () => {
      const stores = make().open();
      const early = await book(stores);
      const late = await stores.leases.book(
        { roomId: ROOM, holder: { kind: "peek", name: "p" }, via: [], ttl: null },
        5,
      );
      await stores.attendance.refuse(ROOM, "M_NOT_FOUND", "no servers", 70, early.id);
      expect(await stores.attendance.progress(early.id)).toMatchObject({ ended: "refused" });
      expect(await stores.attendance.progress(late.id)).toMatchObject({ ended: null });
      expect(await stores.attendance.due(70, 10, NOBODY)).toEqual([ROOM]);
    });

    test("leaves its row in the audit", async () => {
      const { attendance: store, audit } = make().open();
      await store.refuse(ROOM, "M_FORBIDDEN", "no", 70, ALL);
      expect(await audit.newest(null, 1)).toMatchObject([
        {
          actor: "emissary",
          action: "room.join",
          outcome: "M_FORBIDDEN",
          roomId: ROOM,
          at: 70,
          detail: { reason: "no" },
        },
      ]);
    });
  });

  test("a move that was carried out leaves its row in the audit", async () => {
    const { attendance: store, audit } = make().open();
    await store.noteDeed(ROOM, "room.leave", 7);
    expect(await audit.newest(null, 1)).toMatchObject([
      { actor: "emissary", action: "room.leave", outcome: "done", roomId: ROOM, at: 7 },
    ]);
  });

  describe("the progress of a lease", () => {
    test("is presence as soon as the homeserver says so", async () => {
      const stores = make().open();
      const lease = await book(stores);
      expect(await stores.attendance.progress(lease.id)).toEqual({
        present: false,
        ended: null,
        code: null,
        reason: null,
      });
      await stores.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
      expect(await stores.attendance.progress(lease.id)).toMatchObject({ present: true, ended: null });
    });

    test("tells why the newest try failed while it goes on", async () => {
      const stores = make().open();
      const lease = await book(stores);
      await arrange(stores, ROOM, { phase: "joining", tries: 1, code: "M_UNKNOWN", reason: "down" });
      expect(await stores.attendance.progress(lease.id)).toEqual({
        present: false,
        ended: null,
        code: "M_UNKNOWN",
        reason: "down",
      });
    });

    test.each(["released", "expired"] as const)("of one that ended says so: %s", async (end) => {
      const stores = make().open();
      const lease = await book(stores);
      await stores.leases.end(ROOM, TELEGRAM, end, 2);
      expect(await stores.attendance.progress(lease.id)).toMatchObject({ ended: end });
    });

    test("of one forgotten since long counts as released", async () => {
      expect(await make().open().attendance.progress(12_345)).toMatchObject({ present: false, ended: "released" });
    });
  });

  describe("the rooms that count against the cap", () => {
    test("are those that we are in, the one that is asked about left out", async () => {
      const { ledger, attendance: store } = make().open();
      expect((await store.counts(ROOM)).others).toBe(0);
      await ledger.record(
        recordOf("1", [
          member(OWN, "join", { id: "1" }),
          member(OWN, "join", { id: "2", room: OTHER_ROOM }),
          member(OWN, "invite", { id: "3", room: NEW_ROOM, sender: ALICE }),
        ]),
      );
      expect((await store.counts(NEW_ROOM)).others).toBe(2);
      expect((await store.counts(ROOM)).others).toBe(1);
      await ledger.record(recordOf("2", [member(OWN, "leave", { id: "4" })]));
      expect((await store.counts(NEW_ROOM)).others).toBe(1);
    });

    // With several joins under way at once, each was judged by the rooms that we were in already, so together they went past
    // policy.max_rooms.
    test("and those that we are on our way into", async () => {
      const stores = make().open();
      const store = stores.attendance;
      await arrange(stores, ROOM, { phase: "joining" });
      await arrange(stores, OTHER_ROOM, { phase: "absent" });
      expect((await store.counts(NEW_ROOM)).others).toBe(1);
      expect((await store.counts(ROOM)).others).toBe(0);
    });
  });
});
