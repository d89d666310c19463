import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UNUSED_KEPT_MS } from "../../src/ledger/cleaning.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { RoomId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import type { Membership } from "../../src/model/membership.ts";
import { START } from "../support/clock.ts";
import { ALICE, BOB, CAROL, member, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
const MANY = 1_000_000;
const TELEGRAM: Holder = { kind: "tenant", name: "telegram" };
const PEEK: Holder = { kind: "peek", name: "hash" };

let nr = 0;

/** One database, and a clock of its own. */
class Scene {
  readonly stores: Stores;
  now = START;

  constructor(stores: Stores) {
    this.stores = stores;
  }

  async hear(...events: RoomEvent[]): Promise<void> {
    nr += 1;
    await this.stores.ledger.record(recordOf(`txn-${nr}`, events, { receivedAt: this.now }));
  }

  async own(roomId: RoomId, membership: Membership): Promise<void> {
    nr += 1;
    await this.hear(member(OWN, membership, { id: `own-${nr}`, room: roomId, sender: ALICE }));
  }

  /** All steps that there are to do. @returns how many rooms are gone */
  async forget(kept = MANY): Promise<number> {
    let gone = 0;
    for (;;) {
      const { rooms, isMore } = await this.stores.unusedRooms.forget(this.now, this.now - UNUSED_KEPT_MS - HOUR, kept);
      gone += rooms;
      if (!isMore) return gone;
    }
  }

  async knows(roomId: RoomId): Promise<boolean> {
    return (await this.stores.ledger.room(roomId)) !== null;
  }

  /** What the keeper writes when nothing is left to do. */
  async rest(roomId: RoomId): Promise<void> {
    const { attendance, revision } = await this.stores.attendance.situation(roomId);
    await this.stores.attendance.save({ ...attendance, nextAt: null }, revision);
  }
}

describe.each(DATABASES)("rooms that nobody wants, on $name", ({ make }) => {
  const scene = (): Scene => new Scene(make().open());

  test("a room that the pseudouser was invited to is forgotten a week after it declined, with its members", async () => {
    const here = scene();
    await here.own(ROOM, "invite");
    await here.hear(member(ALICE, "join", { id: "alice", room: ROOM }));
    await here.own(ROOM, "leave");
    await here.rest(ROOM);
    here.now += 7 * DAY;
    expect(await here.forget()).toBe(0);
    here.now += 2 * HOUR;
    expect(await here.forget()).toBe(1);
    expect(await here.knows(ROOM)).toBe(false);
    expect(await here.stores.ledger.members(ROOM, { membership: null, after: null, limit: 10 })).toEqual([]);
    await here.own(ROOM, "invite");
    expect(await here.stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "invite" });
  });

  test("an invite that is left unanswered goes likewise; one that waits for its tenant stays until its week is over", async () => {
    const here = scene();
    for (const roomId of [ROOM, OTHER_ROOM]) await here.own(roomId, "invite");
    const due = await here.stores.ownInvites.due(OWN, here.now, 10);
    expect(due.map(({ roomId, inviter, at, isHeld }) => [roomId, inviter, at, isHeld])).toEqual([
      [ROOM, ALICE, START, false],
      [OTHER_ROOM, ALICE, START, false],
    ]);
    await here.stores.ownInvites.settle([
      { invite: due[0]!, at: null },
      { invite: due[1]!, at: START + 7 * DAY },
    ]);
    for (const roomId of [ROOM, OTHER_ROOM]) await here.rest(roomId);
    expect(await here.stores.ownInvites.nextDue()).toBe(START + 7 * DAY);
    expect(await here.forget(0)).toBe(1);
    expect(await here.knows(OTHER_ROOM)).toBe(true);
    here.now += 8 * DAY;
    expect(await here.forget()).toBe(1);
  });

  test("an invite that replaced the one that was looked at is looked at itself", async () => {
    const here = scene();
    await here.own(ROOM, "invite");
    const due = await here.stores.ownInvites.due(OWN, here.now, 10);
    here.now += 5;
    await here.own(ROOM, "leave");
    expect(await here.stores.ownInvites.due(OWN, here.now, 10)).toEqual([]);
    await here.own(ROOM, "invite");
    await here.stores.ownInvites.settle([{ invite: due[0]!, at: null }]);
    expect(await here.stores.ownInvites.due(OWN, here.now, 10)).toHaveLength(1);
  });

  test("beyond a number of rooms the oldest go before their time", async () => {
    const here = scene();
    const rooms = Array.from({ length: 30 }, (_, n) => `!${n}:remote.example` as RoomId);
    for (const roomId of rooms) {
      here.now += 2 * HOUR;
      await here.hear(member(CAROL, "leave", { id: `carol-${roomId}`, room: roomId }));
    }
    expect(await here.forget(10)).toBe(20);
    const left = await Promise.all(rooms.map((roomId) => here.knows(roomId)));
    expect(left).toEqual([...Array<boolean>(20).fill(false), ...Array<boolean>(10).fill(true)]);
  });

  test("a large room goes in several steps, and many rooms do", async () => {
    const here = scene();
    const users = Array.from({ length: 12_000 }, (_, n) =>
      member(`@user-${n}:remote.example` as typeof ALICE, "join", { id: `user-${n}`, room: ROOM }),
    );
    await here.hear(...users);
    for (let n = 0; n < 450; n += 1) {
      await here.hear(member(CAROL, "leave", { id: `c-${n}`, room: `!${n}:remote.example` as RoomId }));
    }
    here.now += 8 * DAY;
    const first = await here.stores.unusedRooms.forget(here.now, here.now, MANY);
    expect(first).toEqual({ rooms: 0, isMore: true });
    expect(await here.forget()).toBe(451);
  });

  test("a room made for a tenant stays known as such, through its upgrades", async () => {
    const here = scene();
    const [first, second, third] = [ROOM, OTHER_ROOM, "!third:remote.example" as RoomId];
    const made = { room_version: "11", "org.matrix.msc1777.on_behalf_of": "telegram" };
    await here.hear(
      state("m.room.create", made, { id: "c1", room: first, sender: OWN }),
      state("m.room.tombstone", { replacement_room: second }, { id: "t1", room: first }),
      state("m.room.create", { predecessor: { room_id: first } }, { id: "c2", room: second }),
      state("m.room.tombstone", { replacement_room: third }, { id: "t2", room: second }),
      state("m.room.create", { predecessor: { room_id: second } }, { id: "c3", room: third }),
    );
    await here.own(third, "join");
    expect((await here.stores.ledger.room(third))?.createdFor).toBe("telegram");
    here.now += 30 * DAY;
    await here.forget(0);
    expect((await here.stores.ledger.room(third))?.createdFor).toBe("telegram");
    expect(await here.knows(second)).toBe(true);
  });

  test("an ended lease is kept for its holder, and until its tenant was given what it covers", async () => {
    const here = scene();
    const { leases, journal } = here.stores;
    await journal.advance("tenant:telegram", 0);
    await here.hear(member(ALICE, "join", { id: "alice", room: ROOM }));
    for (const [roomId, holder] of [
      [ROOM, TELEGRAM],
      [OTHER_ROOM, PEEK],
    ] as const) {
      await leases.book({ roomId, holder, via: [], ttl: null }, here.now);
    }
    await here.hear(member(BOB, "join", { id: "bob", room: ROOM }));
    for (const [roomId, holder] of [
      [ROOM, TELEGRAM],
      [OTHER_ROOM, PEEK],
    ] as const) {
      await leases.end(roomId, holder, "released", here.now);
      await here.rest(roomId);
    }
    // The newest change of leases is never removed.
    await leases.book({ roomId: "!newest:remote.example" as RoomId, holder: PEEK, via: [], ttl: null }, here.now);
    expect(await here.forget(0)).toBe(0);
    here.now += 8 * DAY;
    expect(await here.forget()).toBe(1);
    expect([await here.knows(ROOM), await here.knows(OTHER_ROOM)]).toEqual([true, false]);
    await journal.advance("tenant:telegram", 2);
    expect(await here.forget()).toBe(1);
  });

  test("whatever happens: what somebody holds is not forgotten, and what nobody wants is, in time", async () => {
    const act = fc.record({
      act: fc.constantFrom("invite", "join", "leave", "take", "release", "rest", "strike", "pass", "forget", "squeeze"),
      room: fc.integer({ min: 0, max: 3 }),
      hours: fc.integer({ min: 1, max: 120 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 60 }), async (acts) => {
        const database = make();
        const here = new Scene(database.open());
        const rooms = [0, 1, 2, 3].map((n) => `!r${n}:remote.example` as RoomId);
        const facts = new Map(
          rooms.map((roomId) => [
            roomId,
            { isIn: false, leased: false, cooledUntil: 0, restless: false, heardAt: -Infinity },
          ]),
        );
        for (const { act: what, room, hours } of acts) {
          const roomId = rooms[room]!;
          const fact = facts.get(roomId)!;
          const isKnown = await here.knows(roomId);
          const isRestless = async (): Promise<boolean> =>
            (await here.stores.attendance.situation(roomId)).attendance.nextAt !== null;
          if (what === "pass") here.now += hours * HOUR;
          if (what === "invite" || what === "join" || what === "leave") {
            await here.own(roomId, what);
            Object.assign(fact, { isIn: what === "join", restless: await isRestless(), heardAt: here.now });
            // Somebody who was in the room and was put out has no lease there any more.
            fact.leased = (await here.stores.leases.ofRoom(roomId)).length > 0;
          }
          if (what === "take") {
            await here.stores.leases.book({ roomId, holder: PEEK, via: [], ttl: null }, here.now);
            Object.assign(fact, { leased: true, restless: true, heardAt: here.now });
          }
          if (what === "release" && fact.leased) {
            await here.stores.leases.end(roomId, PEEK, "released", here.now);
            Object.assign(fact, { leased: false, restless: true, heardAt: here.now });
          }
          if (what === "rest" && fact.restless && isKnown) {
            await here.rest(roomId);
            fact.restless = false;
          }
          if (what === "strike" && isKnown) {
            const { until } = await here.stores.coolDowns.strike(roomId, "flooded", "it did", here.now);
            fact.cooledUntil = until;
          }
          const before = new Set<RoomId>();
          for (const each of rooms) if (await here.knows(each)) before.add(each);
          if (what === "forget") await here.forget();
          if (what === "squeeze") await here.forget(0);
          for (const each of before) {
            const { isIn, leased, cooledUntil, restless, heardAt } = facts.get(each)!;
            const isFresh = what === "forget" && here.now - heardAt < UNUSED_KEPT_MS;
            const isHeld = isIn || leased || restless || cooledUntil > here.now || isFresh;
            if (isHeld && (what === "forget" || what === "squeeze"))
              expect([each, await here.knows(each)]).toEqual([each, true]);
          }
        }
        for (const roomId of rooms) {
          if (!(await here.knows(roomId))) continue;
          await here.stores.leases.end(roomId, PEEK, "released", here.now);
          await here.own(roomId, "leave");
          await here.rest(roomId);
        }
        // A room that was joined has its members dropped first; that of the newest change of leases stays.
        here.now += 400 * DAY;
        for (const { roomId } of await here.stores.loads.due(here.now, 10)) await here.stores.loads.drop(roomId, 100);
        await here.forget();
        let left = 0;
        for (const roomId of rooms) if (await here.knows(roomId)) left += 1;
        expect(left).toBeLessThanOrEqual(1);
        database.remove();
      }),
      { numRuns: roundsOf(25), seed: seedOf(7) },
    );
  }, 60_000);
});
