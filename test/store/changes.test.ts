/** What follows from a change is the same however it was learnt: by an event, by a load, or because the homeserver was asked. */
import DatabaseConstructor from "better-sqlite3";
import fc from "fast-check";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { foldEvent } from "../../src/ledger/fold.ts";
import type { StateEvent } from "../../src/model/event.ts";
import type { RoomId, TenantId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { START } from "../support/clock.ts";
import { ALICE, BOB, CAROL, member, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { rows } from "../support/database.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const TENANT = "news" as TenantId;
const NEWS: Holder = { kind: "tenant", name: TENANT };
const DEVICE: Holder = { kind: "peek", name: "user.device" };
const HOUR = 3_600_000;
const OWN_JOIN = member(OWN, "join", { id: "own" });

/** A room that we are in and that was loaded, which a tenant and a device hold. */
class World {
  readonly path: string;
  readonly storage: SqliteStorage;
  /** The room's state as the homeserver holds it, by type and key. */
  readonly truth = new Map<string, StateEvent>();
  #transactions = 0;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), "emissary-changes-"));
    this.path = join(folder, "emissary.db");
    this.storage = new SqliteStorage(this.path);
    onTestFinished(() => {
      this.storage.close();
      rmSync(folder, { recursive: true, force: true });
    });
  }

  async begin(more: readonly StateEvent[] = []): Promise<this> {
    await this.event(START, OWN_JOIN);
    for (const holder of [NEWS, DEVICE]) {
      await this.storage.leases.book({ roomId: ROOM, holder, via: [], ttl: null }, START);
    }
    for (const event of [OWN_JOIN, member(ALICE, "join", { id: "alice" }), ...more]) this.#set(event);
    await this.load(START);
    return this;
  }

  async event(now: number, ...events: StateEvent[]): Promise<void> {
    for (const event of events) this.#set(event);
    this.#transactions += 1;
    await this.storage.ledger.record(recordOf(String(this.#transactions), events, { receivedAt: now }));
  }

  /** The homeserver has these, and tells nothing of it until it is asked. */
  async lost(...events: StateEvent[]): Promise<void> {
    for (const event of events) this.#set(event);
  }

  /** @param last what is told of last, for the order of a state is any */
  async load(now: number, last: (event: StateEvent) => boolean = () => false): Promise<number> {
    const all = [...this.truth.values()];
    const ordered = [...all.filter((event) => !last(event)), ...all.filter(last)];
    const ticket = await this.storage.loads.begin(ROOM);
    let differences = 0;
    for (const part of [ordered.slice(0, 2), ordered.slice(2)]) {
      const changes = part.flatMap((event) => foldEvent(event, OWN));
      differences += await this.storage.loads.part(ticket, changes, now);
    }
    return differences + (await this.storage.loads.finish(ticket, now));
  }

  async observe(now: number, event: StateEvent): Promise<void> {
    this.#set(event);
    const asOf = await this.storage.ledger.lastSeq();
    await this.storage.ledger.observe(foldEvent(event, OWN), asOf, now);
  }

  /** All that the database holds which somebody acts on, without what only says when and how it was learnt. */
  consequences(): unknown {
    const all = (sql: string): unknown[] => rows(this.path, sql);
    return {
      // Out of a room nothing is left to judge, and nobody to follow an upgrade.
      rooms: all(
        "SELECT room_id, own_membership, own_event, own_reason, invite_at, claims, joined_members, load, via, changed_at, " +
          "own_membership = 'join' AND review_at IS NOT NULL AS reviewed, " +
          "own_membership = 'join' AND upgrade_at IS NOT NULL AS upgraded FROM rooms ORDER BY room_id",
      ),
      members: all("SELECT room_nr, user_id, membership, event_id, sender, displayname FROM members ORDER BY user_id"),
      state: all("SELECT room_nr, field, value, event_id FROM room_state ORDER BY room_nr, field"),
      leases: all("SELECT kind, holder, taken_at, change, ended_at, end_reason FROM leases ORDER BY id"),
      attendance: all("SELECT * FROM attendance ORDER BY room_nr"),
      coolDowns: all("SELECT * FROM cool_downs ORDER BY room_nr, code"),
      audit: all("SELECT at, actor, action, outcome, room_id, detail FROM audit ORDER BY id"),
    };
  }

  #set(event: StateEvent): void {
    this.truth.set(`${event.type} ${event.state_key}`, event);
  }
}

function asked(world: World): void {
  const db = new DatabaseConstructor(world.path);
  db.exec("UPDATE attendance SET leave_asked = 1");
  db.close();
}

describe("a reload that finds nothing new", () => {
  test.each([
    ["daily", HOUR],
    ["after a start", 0],
  ])(
    "(%s) announces the room to nobody: no tenant is told that it joined, and no device gets the room anew",
    async (_when, later) => {
      const world = await new World().begin();
      const before = await world.storage.leaseChanges.newest();
      const peeks = await world.storage.peeks.peeksOf(DEVICE.name);
      const consequences = world.consequences();
      expect(await world.load(START + later)).toBe(0);
      expect(await world.storage.leaseChanges.since(TENANT, before)).toEqual([]);
      expect(await world.storage.peeks.peeksOf(DEVICE.name)).toEqual(peeks);
      expect(world.consequences()).toEqual(consequences);
    },
  );

  test("nor does the first load: the join was told when we came", async () => {
    const world = new World();
    await world.storage.leases.book({ roomId: ROOM, holder: NEWS, via: [], ttl: null }, START);
    await world.event(START, OWN_JOIN);
    const before = await world.storage.leaseChanges.newest();
    await world.load(START);
    expect(await world.storage.leaseChanges.since(TENANT, before)).toEqual([]);
  });
});

/** What may happen to us in a room, and how the leases there end by it. */
const ENDS = [
  ["a kick", member(OWN, "leave", { id: "out", sender: ALICE, replaces: "own" }), "kicked"],
  ["a ban", member(OWN, "ban", { id: "out", sender: ALICE, replaces: "own" }), "banned"],
  ["a leave that we did not ask for", member(OWN, "leave", { id: "out", replaces: "own" }), "withdrawn"],
] as const;

describe("being put out", () => {
  const ways: readonly (readonly [string, (world: World, event: StateEvent, now: number) => Promise<unknown>])[] = [
    ["an event tells", (world, event, now) => world.event(now, event)],
    ["a load tells", async (world, event, now) => world.lost(event).then(() => world.load(now))],
    ["an answer tells", (world, event, now) => world.observe(now, event)],
  ];
  const cases = ENDS.flatMap(([what, event, end]) =>
    ways.map(([way, learn]) => [what, way, event, end, learn] as const),
  );

  test.each(cases)(
    "%s that %s ends the leases, and keeps us away for a while",
    async (_what, _way, event, end, learn) => {
      const world = await new World().begin();
      await learn(world, event, START + 1);
      expect(await world.storage.leases.ofRoom(ROOM)).toEqual([]);
      for (const holder of [NEWS, DEVICE]) expect(await world.storage.leases.lastEnd(ROOM, holder)).toBe(end);
      expect(await world.storage.coolDowns.of(ROOM, START + 1)).toMatchObject({ code: "put-out", strikes: 1 });
      const { attendance, ownMembership } = await world.storage.attendance.situation(ROOM);
      expect(attendance).toMatchObject({ phase: "refused", code: end, nextAt: START + 1 });
      expect(ownMembership).not.toBe("join");
      const noted = rows<{ action: string; outcome: string }>(world.path, "SELECT action, outcome FROM audit");
      expect(noted).toContainEqual({ action: "lease.end", outcome: end });
      expect(noted).toContainEqual({ action: "room.cool-down", outcome: "put-out" });
    },
  );

  test.each(ENDS)("%s is learnt once: that the event comes after the load changes nothing", async (_what, event) => {
    const world = await new World().begin();
    await world.lost(event);
    await world.load(START + 1);
    const { audit, coolDowns } = world.consequences() as Record<string, unknown>;
    await world.event(START + 2, event);
    expect(world.consequences()).toMatchObject({ audit, coolDowns });
  });

  test("a homeserver that has us there no more, and gives no event, is believed like one that does", async () => {
    const world = await new World().begin();
    await world.storage.reconcile.setAbsent(ROOM, START + 1);
    expect(await world.storage.leases.lastEnd(ROOM, NEWS)).toBe("withdrawn");
    expect(await world.storage.coolDowns.of(ROOM, START + 1)).toMatchObject({ code: "put-out" });
    expect(await world.storage.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave", load: "stale" });
    await world.event(START + 2, OWN_JOIN);
    expect(await world.storage.ledger.room(ROOM)).toMatchObject({ ownMembership: "join", load: "wanted" });
  });

  test("a load that was under way meanwhile does not bring us back", async () => {
    const world = await new World().begin();
    const changes = foldEvent(OWN_JOIN, OWN);
    for (const out of [
      () => world.observe(START + 1, ENDS[2][1]),
      () => world.storage.reconcile.setAbsent(ROOM, START),
    ]) {
      await world.event(START, OWN_JOIN);
      const ticket = await world.storage.loads.begin(ROOM);
      await out();
      await world.storage.loads.part(ticket, changes, START + 2);
      await world.storage.loads.finish(ticket, START + 2);
      expect(await world.storage.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave", load: "stale" });
    }
  });
});

/** Each move of ours is asked about at once, so the transactions that bring the same moves may come much later. */
test("transactions that come after later answers are history: nothing follows from them a second time", async () => {
  const moves = [
    member(OWN, "leave", { id: "out-1", replaces: "own" }),
    member(OWN, "join", { id: "in-1", replaces: "out-1" }),
    member(OWN, "leave", { id: "out-2", sender: ALICE, replaces: "in-1" }),
    member(OWN, "join", { id: "in-2", replaces: "out-2" }),
    member(OWN, "leave", { id: "out-3", replaces: "in-2" }),
    member(OWN, "join", { id: "in-3", replaces: "out-3" }),
  ];
  const world = await new World().begin();
  for (const [n, move] of moves.entries()) {
    // The first and the second are somebody's decisions, the third is ours.
    if (move.event_id === "$out-3") await world.storage.attendance.noteLeave(ROOM);
    await world.observe(START + n, move);
  }
  await world.storage.leases.book({ roomId: ROOM, holder: NEWS, via: [], ttl: null }, START + 10);
  await world.load(START + 11);
  const before = world.consequences();
  for (const [n, move] of moves.entries()) await world.event(START + 20 + n, move);
  expect(world.consequences()).toEqual(before);
});

describe("a leave of our own", () => {
  const LEAVE = member(OWN, "leave", { id: "out", replaces: "own" });

  async function leaving(): Promise<World> {
    const world = await new World().begin();
    await world.storage.attendance.noteLeave(ROOM);
    return world;
  }

  test("ends no lease that somebody took meanwhile, and keeps nobody away", async () => {
    const world = await leaving();
    await world.event(START + 1, LEAVE);
    expect((await world.storage.leases.ofRoom(ROOM)).map(({ holder }) => holder)).toEqual([NEWS, DEVICE]);
    expect(await world.storage.coolDowns.of(ROOM, START + 1)).toBeNull();
  });

  test("is ours also after a crash between the leave and its event, however long that takes", async () => {
    const world = await leaving();
    const after = new SqliteStorage(world.path);
    await after.attendance.recover(START + 5);
    await after.ledger.record(recordOf("late", [LEAVE], { receivedAt: START + 30 * HOUR }));
    expect(await after.leases.lastEnd(ROOM, NEWS)).toBeNull();
    expect(await after.coolDowns.of(ROOM, START + 30 * HOUR)).toBeNull();
    after.close();
  });

  test("covers one leave only: the next stay's end is somebody's decision", async () => {
    const world = await leaving();
    await world.event(START + 1, LEAVE);
    await world.event(START + 2, member(OWN, "join", { id: "own-2", replaces: "out" }));
    await world.event(START + 3, member(OWN, "leave", { id: "out-2", replaces: "own-2" }));
    expect(await world.storage.leases.lastEnd(ROOM, NEWS)).toBe("withdrawn");
  });

  test("a new display name in between does not make it somebody else's", async () => {
    const world = await leaving();
    await world.event(START + 1, member(OWN, "join", { id: "own-2", replaces: "own", name: "Server" }));
    await world.event(START + 2, member(OWN, "leave", { id: "out", replaces: "own-2" }));
    expect(await world.storage.leases.lastEnd(ROOM, NEWS)).toBeNull();
  });

  test("is none where an invite ends: one that we declined, or somebody took back", async () => {
    for (const sender of [OWN, ALICE]) {
      const world = new World();
      await world.event(START, member(OWN, "invite", { id: "invite", sender: ALICE }));
      await world.storage.leases.book({ roomId: ROOM, holder: NEWS, via: [], ttl: null }, START);
      await world.event(START + 1, member(OWN, "leave", { id: "out", sender, replaces: "invite" }));
      expect(await world.storage.leases.lastEnd(ROOM, NEWS)).toBeNull();
      expect(await world.storage.coolDowns.of(ROOM, START + 1)).toBeNull();
    }
  });
});

test("on entering a room what was heard of it in an earlier stay is forgotten, but for what never changes", async () => {
  const heard = [
    state("m.room.create", { room_version: "11" }, { id: "create" }),
    state("m.room.name", { name: "Lobby" }, { id: "name" }),
    state("m.room.join_rules", { join_rule: "public" }, { id: "rule" }),
    state("m.room.server_acl", { allow: ["*"], deny: ["ours.example"] }, { id: "acl" }),
    state("m.room.canonical_alias", { alias: "#bad:remote.example" }, { id: "alias" }),
  ];
  const world = await new World().begin(heard);
  await world.event(START + 1, member(OWN, "leave", { id: "out", sender: ALICE, replaces: "own" }));
  await world.event(START + 2, member(OWN, "join", { id: "own-2", replaces: "out" }));
  expect(await world.storage.ledger.room(ROOM)).toMatchObject({
    version: "11",
    creator: ALICE,
    name: "Lobby",
    serverAcl: null,
    joinRule: null,
    canonicalAlias: null,
  });
});

/** Each changes something of its own, once. */
const STEPS: readonly { readonly event: StateEvent; readonly asked?: boolean }[] = [
  { event: member(ALICE, "leave", { id: "alice-2", replaces: "alice" }) },
  { event: member(BOB, "join", { id: "bob" }) },
  { event: member(CAROL, "invite", { id: "carol", sender: BOB }) },
  { event: state("m.room.name", { name: "New" }, { id: "name-2", replaces: "name" }) },
  { event: state("m.room.join_rules", { join_rule: "invite" }, { id: "rule-2", replaces: "rule" }) },
  { event: state("m.room.server_acl", { allow: ["*"] }, { id: "acl" }) },
  { event: state("m.room.canonical_alias", { alias: "#a:remote.example" }, { id: "alias" }) },
  { event: state("m.room.tombstone", { replacement_room: NEW_ROOM }, { id: "tombstone" }) },
];
const OWN_STEPS = [
  { event: member(OWN, "join", { id: "own-2", replaces: "own", name: "Server" }) },
  { event: member(OWN, "leave", { id: "out", replaces: "own" }), asked: true },
  ...ENDS.map(([, event]) => ({ event })),
];

test("the same facts, by events and by a load, leave the same rows", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([...STEPS]),
      fc.option(fc.constantFrom(...OWN_STEPS), { nil: null }),
      fc.constantFrom("11", "org.matrix.msc1777.11"),
      fc.boolean(),
      async (steps, own, version, isOwnLast) => {
        const base = [
          state("m.room.create", { room_version: version }, { id: "create" }),
          state("m.room.name", { name: "Old" }, { id: "name" }),
          state("m.room.join_rules", { join_rule: "public" }, { id: "rule" }),
        ];
        const told = await new World().begin(base);
        const found = await new World().begin(base);
        const all = [...steps, ...(own === null ? [] : [own])];
        // Old reviews are done, so that a new one shows.
        for (const world of [told, found]) {
          for (const ticket of await world.storage.reviews.due(START + HOUR, 10)) {
            await world.storage.reviews.done(ticket, START);
          }
          if (all.some((step) => step.asked === true)) asked(world);
        }
        const now = START + 2 * HOUR;
        for (const { event } of all) await told.event(now, event);
        await found.lost(...all.map(({ event }) => event));
        const isOwn = (event: StateEvent): boolean => event.state_key === OWN;
        // Whether a tombstone is followed by leases depends on what came first, as it does with events.
        const isLast = isOwnLast || (own !== null && own.event.content["membership"] !== "join");
        await found.load(now, isLast ? isOwn : (event) => !isOwn(event));
        expect(found.consequences()).toEqual(told.consequences());
      },
    ),
    { numRuns: roundsOf(40), seed: seedOf(14_1) },
  );
});

test("a room that another names as its replacement wakes the look into that upgrade, by an event and by a load", async () => {
  const dueAfter = async (learn: (world: World) => Promise<unknown>): Promise<unknown> => {
    const world = await new World().begin();
    const tombstone = state("m.room.tombstone", { replacement_room: ROOM }, { id: "t", room: OTHER_ROOM });
    const roomId: RoomId = OTHER_ROOM;
    await world.storage.leases.book({ roomId, holder: NEWS, via: [], ttl: null }, START);
    await world.storage.ledger.record(recordOf("t", [tombstone], { receivedAt: START }));
    await learn(world);
    return rows(world.path, "SELECT upgrade_at FROM rooms WHERE room_id = ?", OTHER_ROOM);
  };
  const kick = ENDS[0][1];
  const told = await dueAfter((world) => world.event(START + 9, kick));
  expect(await dueAfter((world) => world.lost(kick).then(() => world.load(START + 9)))).toEqual(told);
});
