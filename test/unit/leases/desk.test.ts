import { describe, expect, onTestFinished, test } from "vitest";
import { LeaseDesk } from "../../../src/leases/desk.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { ServerName } from "../../../src/model/ids.ts";
import type { LeaseWish } from "../../../src/model/lease.ts";
import type { RoomLook } from "../../../src/policy/judge.ts";
import { RuleBook } from "../../../src/policy/rule-book.ts";
import { Policy } from "../../../src/policy/policy.ts";
import { SqliteStorage } from "../../../src/storage/sqlite/storage.ts";
import { noBudgets, NO_LIMITS, PUBLIC } from "../../support/attending.ts";
import { ManualClock, settle, START } from "../../support/clock.ts";
import { ANYBODY } from "../../support/tenants.ts";
import { ALICE, member, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../../support/events.ts";

const WISH: LeaseWish = {
  roomId: ROOM,
  holder: { kind: "tenant", name: "telegram" },
  via: ["a.example" as ServerName],
  ttl: 60_000,
};

function scene(look: () => Promise<RoomLook | null>, limits = NO_LIMITS) {
  const storage = new SqliteStorage(":memory:");
  onTestFinished(() => storage.close());
  const clock = new ManualClock();
  const looks: (readonly ServerName[])[] = [];
  const looker = {
    look: async (_room: unknown, via: readonly ServerName[]) => {
      looks.push(via);
      return look();
    },
  };
  const policy = new Policy({
    own: OWN,
    ledger: storage.ledger,
    looker,
    attended: storage.attendance,
    tenants: ANYBODY,
    rules: new RuleBook(),
    coolDowns: storage.coolDowns,
    budgets: noBudgets(clock),
    limits,
    clock,
  });
  const desk = new LeaseDesk(storage.leases, policy, clock);
  let changes = 0;
  const count = async (): Promise<void> => {
    for (;;) {
      await desk.changed.next(new AbortController().signal);
      changes += 1;
    }
  };
  void count();
  return { storage, clock, looks, policy, desk, changes: () => changes };
}

describe("taking a lease", () => {
  test("that policy allows books it, from now on, and has attendance look", async () => {
    const { storage, desk, changes } = scene(async () => PUBLIC);
    const lease = await desk.take(WISH);
    expect(lease).toMatchObject({ roomId: ROOM, holder: WISH.holder, takenAt: START, expiresAt: START + 60_000 });
    expect(await storage.leases.ofRoom(ROOM)).toEqual([lease]);
    await settle();
    expect(changes()).toBe(1);
  });

  test("that policy refuses says which rule, notes it in the audit, and books nothing", async () => {
    const { storage, desk, changes } = scene(async () => ({ ...PUBLIC, joinRule: "invite" }));
    const taking = desk.take(WISH);
    await expect(taking).rejects.toMatchObject({ code: "refused-by-policy", reason: "join-rule" });
    await expect(taking).rejects.toThrow(/invite/);
    expect(await storage.leases.ofRoom(ROOM)).toEqual([]);
    expect(await storage.audit.newest(null, 10)).toMatchObject([{ action: "lease.take", outcome: "join-rule" }]);
    await settle();
    expect(changes()).toBe(0);
  });

  test("while the homeserver cannot be asked fails with that, and books nothing", async () => {
    const { storage, desk } = scene(async () => {
      throw new EmissaryError("homeserver-unreachable", "The homeserver is not there.");
    });
    await expect(desk.take(WISH)).rejects.toMatchObject({ code: "homeserver-unreachable" });
    expect(await storage.leases.ofRoom(ROOM)).toEqual([]);
    expect(await storage.audit.newest(null, 10)).toEqual([]);
  });

  test("and giving it back: told once, to attendance too", async () => {
    const { desk, changes } = scene(async () => PUBLIC);
    await desk.take(WISH);
    expect(await desk.release(ROOM, WISH.holder)).toBe(true);
    expect(await desk.release(ROOM, WISH.holder)).toBe(false);
    expect(await desk.release(OTHER_ROOM, WISH.holder)).toBe(false);
    await settle();
    expect(changes()).toBe(2);
  });
});

describe("the look that policy takes at a room", () => {
  test("serves for the moments after it, and not for long", async () => {
    const { clock, desk, looks } = scene(async () => PUBLIC);
    await desk.take(WISH);
    await clock.advance(20_000);
    await desk.take(WISH);
    expect(looks).toHaveLength(1);
    await clock.advance(20_000);
    await desk.take(WISH);
    expect(looks).toHaveLength(2);
  });

  test("that showed nothing is taken again at once: the next asker may name a better route", async () => {
    let look: RoomLook | null = null;
    const { desk, looks } = scene(async () => look);
    await expect(desk.take(WISH)).rejects.toMatchObject({ reason: "not-visible" });
    look = PUBLIC;
    await desk.take({ ...WISH, via: ["b.example" as ServerName] });
    expect(looks).toEqual([["a.example"], ["b.example"]]);
  });

  test("goes by the routes that were named and those known of the room", async () => {
    const { clock, desk, looks } = scene(async () => PUBLIC);
    await desk.take(WISH);
    await clock.advance(60_000);
    await desk.take({ ...WISH, via: ["b.example" as ServerName] });
    expect(looks[1]).toEqual(["b.example", "a.example"]);
  });

  test("is not needed where we are in and hold the room's state", async () => {
    const { storage, desk, looks } = scene(async () => null);
    const events = [
      member(OWN, "join", { id: "own" }),
      state("m.room.join_rules", { join_rule: "public" }, { id: "rule" }),
    ];
    await storage.ledger.record(recordOf("1", events));
    const ticket = await storage.loads.begin(ROOM);
    await storage.loads.part(ticket, recordOf("", events).changes, START);
    await storage.loads.finish(ticket, 1);
    await desk.take(WISH);
    expect(looks).toEqual([]);
  });

  test("is needed where we are in and do not hold it yet, or have left", async () => {
    const { storage, desk, looks } = scene(async () => PUBLIC);
    await storage.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
    await desk.take(WISH);
    expect(looks).toHaveLength(1);
    await storage.ledger.record(recordOf("2", [member(OWN, "join", { id: "elsewhere", room: OTHER_ROOM })]));
    await storage.ledger.record(recordOf("3", [member(OWN, "leave", { id: "out", room: OTHER_ROOM, sender: ALICE })]));
    await desk.take({ ...WISH, roomId: OTHER_ROOM });
    expect(looks).toHaveLength(2);
  });
});

test("the cap on rooms counts the others, not the room that is asked for", async () => {
  const { storage, desk } = scene(async () => PUBLIC, { ...NO_LIMITS, maxRooms: 1 });
  await desk.take(WISH);
  await storage.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
  await desk.take({ ...WISH, holder: { kind: "peek", name: "p" } });
  await expect(desk.take({ ...WISH, roomId: OTHER_ROOM })).rejects.toMatchObject({ reason: "room-cap" });
});
