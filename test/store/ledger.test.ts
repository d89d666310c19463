import { describe, expect, test } from "vitest";
import type { RoomEvent } from "../../src/model/event.ts";
import type { RoomId, ServerName, UserId } from "../../src/model/ids.ts";
import type { MemberPage } from "../../src/ledger/store/ledger.ts";
import { ALICE, BOB, CAROL, member, message, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const ALL: MemberPage = { membership: null, after: null, limit: 100 };

describe.each(DATABASES)("the ledger on $name", ({ make }) => {
  test("knows nothing of a room or a member that no event told of", async () => {
    const { ledger } = make().open();
    expect(await ledger.room(ROOM)).toBeNull();
    expect(await ledger.member(ROOM, ALICE)).toBeNull();
    expect(await ledger.members(ROOM, ALL)).toEqual([]);
  });

  test("a transaction's events change rooms and members in the order in which they come", async () => {
    const { ledger } = make().open();
    await ledger.record(
      recordOf("1", [
        state("m.room.create", { room_version: "10", type: "m.space" }, { id: "create" }),
        state("m.room.name", { name: "First" }, { id: "name-1" }),
        member(ALICE, "join", { id: "alice-1", name: "Alice" }),
        member(BOB, "invite", { id: "bob-1", sender: ALICE }),
        state("m.room.name", { name: "Second" }, { id: "name-2", replaces: "name-1" }),
        member(BOB, "join", { id: "bob-2", replaces: "bob-1" }),
      ]),
    );
    expect(await ledger.room(ROOM)).toEqual({
      roomId: ROOM,
      load: "none",
      ownMembership: null,
      ownMembershipEvent: null,
      ownReason: null,
      creator: ALICE,
      serverAcl: null,
      createdFor: null,
      version: "10",
      roomType: "m.space",
      name: "Second",
      canonicalAlias: null,
      joinRule: null,
      historyVisibility: null,
      encryption: null,
      replacement: null,
      predecessor: null,
      via: [],
    });
    expect(await ledger.member(ROOM, ALICE)).toEqual({
      roomId: ROOM,
      userId: ALICE,
      membership: "join",
      eventId: "$alice-1",
      sender: ALICE,
      displayname: "Alice",
      avatarUrl: null,
    });
    expect(await ledger.member(ROOM, BOB)).toMatchObject({ membership: "join", eventId: "$bob-2" });
  });

  test("members are listed a page at a time, in the order of their IDs, and by membership", async () => {
    const { ledger } = make().open();
    const users = Array.from(
      { length: 25 },
      (_, index) => `@u${String(index).padStart(2, "0")}:remote.example` as UserId,
    );
    const events = users.map((user, index) => member(user, index % 5 === 0 ? "leave" : "join", { id: `m-${user}` }));
    await ledger.record(recordOf("1", events.toReversed()));

    const seen: string[] = [];
    for (let after: UserId | null = null; ;) {
      const page = await ledger.members(ROOM, { membership: null, after, limit: 7 });
      seen.push(...page.map(({ userId }) => userId));
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.userId;
    }
    expect(seen).toEqual(users);
    const left = await ledger.members(ROOM, { ...ALL, membership: "leave" });
    expect(left.map(({ userId }) => userId)).toEqual(users.filter((_, index) => index % 5 === 0));
    expect(await ledger.members(ROOM, { membership: "join", after: users[20]!, limit: 2 })).toMatchObject([
      { userId: users[21] },
      { userId: users[22] },
    ]);
  });

  test("rooms do not mix", async () => {
    const { ledger } = make().open();
    await ledger.record(
      recordOf("1", [member(ALICE, "join", { id: "1" }), member(ALICE, "ban", { id: "2", room: OTHER_ROOM })]),
    );
    expect(await ledger.member(ROOM, ALICE)).toMatchObject({ membership: "join" });
    expect(await ledger.member(OTHER_ROOM, ALICE)).toMatchObject({ membership: "ban" });
  });

  test.each([
    ["a quote", `@o'brien"; DROP TABLE rooms; --:remote.example`],
    ["a backslash and a percent sign", "@a\\%_b:remote.example"],
    ["letters beyond the first 65,536", "@𝔸𝕝𝕚𝕔𝕖:remote.example"],
    ["a zero byte", "@a\0b:remote.example"],
  ])("keeps identifiers with %s as they are", async (_what, text) => {
    const { ledger } = make().open();
    const user = text as UserId;
    await ledger.record(recordOf("1", [member(user, "join", { id: "1", name: "n\0m 🙂" })]));
    expect(await ledger.members(ROOM, ALL)).toMatchObject([{ userId: user, displayname: "n\0m 🙂" }]);
    expect(await ledger.member(ROOM, user)).toMatchObject({ userId: user });
  });

  describe("our own membership", () => {
    test("joining asks for the room to be loaded", async () => {
      const { ledger, loads } = make().open();
      await ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })], { receivedAt: 5_000 }));
      expect(await ledger.room(ROOM)).toMatchObject({
        ownMembership: "join",
        ownMembershipEvent: "$own",
        load: "wanted",
      });
      expect(await loads.due(5_000, 10)).toEqual([{ roomId: ROOM, drop: false }]);
    });

    test("leaving asks for its members to be dropped", async () => {
      const { ledger, loads } = make().open();
      await ledger.record(recordOf("1", [member(OWN, "join", { id: "own-1" })]));
      await ledger.record(recordOf("2", [member(OWN, "leave", { id: "own-2" })], { receivedAt: 5_000 }));
      expect(await ledger.room(ROOM)).toMatchObject({ ownMembership: "leave", load: "stale" });
      expect(await loads.due(5_000, 10)).toEqual([{ roomId: ROOM, drop: true }]);
    });

    test("another server's pseudouser in the room is a member like others", async () => {
      const { ledger } = make().open();
      await ledger.record(recordOf("1", [member("@:remote.example" as UserId, "join", { id: "1" })]));
      expect(await ledger.room(ROOM)).toMatchObject({ ownMembership: null, load: "none" });
    });
  });

  describe("events that do not follow on what is held", () => {
    async function loaded(stores: Stores): Promise<void> {
      await stores.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
      const ticket = await stores.loads.begin(ROOM);
      await stores.loads.part(
        ticket,
        recordOf("", [member(OWN, "join", { id: "own" }), member(BOB, "join", { id: "bob-1" })]).changes,
        1,
      );
      await stores.loads.finish(ticket, 1);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "loaded" });
    }

    test("one that replaces what we hold raises no doubt, nor does one that says nothing of it", async () => {
      const stores = make().open();
      await loaded(stores);
      const { gaps } = await stores.ledger.record(
        recordOf("2", [
          member(BOB, "leave", { id: "bob-2", replaces: "bob-1" }),
          member(CAROL, "join", { id: "carol-1" }),
        ]),
      );
      expect(gaps).toEqual([]);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "loaded" });
    });

    test.each<[string, RoomEvent]>([
      ["a member's event replaces another than we hold", member(BOB, "leave", { id: "bob-3", replaces: "bob-2" })],
      [
        "a member's event replaces one and we hold none",
        member(CAROL, "leave", { id: "carol-2", replaces: "carol-1" }),
      ],
      [
        "a state event replaces one and we hold none",
        state("m.room.name", { name: "N" }, { id: "name-2", replaces: "name-1" }),
      ],
    ])("%s: the room is loaded anew, a little later", async (_what, event) => {
      const stores = make().open();
      await loaded(stores);
      const { gaps } = await stores.ledger.record(recordOf("2", [event], { receivedAt: 10_000 }));
      expect(gaps).toEqual([ROOM]);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "wanted" });
      expect(await stores.loads.due(10_000, 10)).toEqual([]);
      expect(await stores.loads.due(20_000, 10)).toEqual([{ roomId: ROOM, drop: false }]);
    });

    // We were kicked, and the kick replaced a change of our own profile that had not reached us. The room was marked to be
    // loaded anew; but the homeserver does not give the state of a room that we are not in, so the load failed for ever and
    // the members were never dropped.
    test("our own leaving drops the room, also where it does not follow on what we hold", async () => {
      const stores = make().open();
      await loaded(stores);
      await stores.ledger.record(
        recordOf("2", [member(OWN, "leave", { id: "kick", sender: ALICE, replaces: "missed" })]),
      );
      expect(await stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave", load: "stale" });
    });
  });

  describe("what the homeserver answered when asked", () => {
    test("changes the ledger and has no place in the journal", async () => {
      const { ledger, journal } = make().open();
      await ledger.observe(recordOf("", [member(OWN, "join", { id: "own" })]).changes, Number.MAX_SAFE_INTEGER, 1);
      expect(await ledger.room(ROOM)).toMatchObject({ ownMembership: "join", load: "wanted" });
      expect(await journal.bounds()).toEqual({ first: 0, last: 0 });
      expect(await ledger.lastSeq()).toBe(0);
    });

    test("the same event in a transaction later changes nothing more, and is journalled", async () => {
      const { ledger, journal, loads } = make().open();
      const own = member(OWN, "join", { id: "own" });
      await ledger.observe(recordOf("", [own]).changes, Number.MAX_SAFE_INTEGER, 1);
      const ticket = await loads.begin(ROOM);
      await loads.finish(ticket, 1);
      await ledger.record(recordOf("1", [own]));
      expect(await ledger.room(ROOM)).toMatchObject({ ownMembership: "join", load: "loaded" });
      expect(await journal.bounds()).toEqual({ first: 1, last: 1 });
    });
  });

  test("a room's routes are kept with it", async () => {
    const { ledger, leases } = make().open();
    const servers = (...names: string[]): ServerName[] => names as ServerName[];
    const holder = { kind: "operator", name: "cli" } as const;
    await leases.book({ roomId: ROOM, holder, via: servers("a.example", "b.example"), ttl: null }, 1);
    await leases.book({ roomId: ROOM, holder, via: servers("c.example", "a.example"), ttl: null }, 2);
    await leases.book({ roomId: ROOM, holder, via: [], ttl: null }, 3);
    expect(await ledger.room(ROOM)).toMatchObject({ via: ["c.example", "a.example", "b.example"] });
  });

  test("a transaction whose writing fails in the middle leaves no trace", async () => {
    const database = make();
    const { ledger, journal } = database.open();
    await ledger.record(recordOf("1", [message({ id: "1" })]));
    const good = recordOf("2", [member(ALICE, "join", { id: "2" }), state("m.room.name", { name: "N" }, { id: "3" })]);
    const [first, second] = good.changes;
    const broken = { ...good, changes: [first!, { ...second!, roomId: null as unknown as RoomId }] };
    await expect(ledger.record(broken as typeof good)).rejects.toThrow();
    expect(await ledger.member(ROOM, ALICE)).toBeNull();
    expect(await journal.bounds()).toEqual({ first: 1, last: 1 });
    expect(await ledger.record(good)).toMatchObject({ firstSeq: 2 });
  });
});
