import { describe, expect, onTestFinished, test } from "vitest";
import { LeaseDesk } from "../../../../src/attendance/leases/desk.ts";
import { LeaseRefusals } from "../../../../src/attendance/leases/refusals.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { RoomId, ServerName } from "../../../../src/model/ids.ts";
import type { Holder, LeaseWish } from "../../../../src/model/lease.ts";
import type { RoomSummary } from "../../../../src/policy/question.ts";
import type { PolicyRule } from "../../../../src/policy/rule.ts";
import { RuleBook } from "../../../../src/policy/rule-book.ts";
import { Budgets, type Budget } from "../../../../src/policy/budgets.ts";
import type { BudgetKind } from "../../../../src/policy/budget-subjects.ts";
import { ROOM_VERSION } from "../../../../src/auth/version.ts";
import { Policy } from "../../../../src/policy/policy.ts";
import { SqliteStorage } from "../../../../src/app/stores.ts";
import { NO_LIMITS, PLENTY, PUBLIC } from "../../../support/attending.ts";
import { ManualClock, settle, START } from "../../../support/clock.ts";
import { CollectedLog } from "../../../support/service-app.ts";
import { ANYBODY } from "../../../support/tenants.ts";
import { ALICE, CAROL, member, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../../../support/events.ts";
import { NOWHERE } from "../../../support/pointers.ts";

const WISH: LeaseWish = {
  roomId: ROOM,
  holder: { kind: "tenant", name: "telegram" },
  via: ["a.example" as ServerName],
  ttl: 60_000,
};

const WORLD_READABLE: RoomSummary = { ...PUBLIC, worldReadable: true };

function scene(
  look: (via: readonly ServerName[]) => Promise<RoomSummary | null>,
  limits = NO_LIMITS,
  budgets: Partial<Record<BudgetKind, Budget>> = {},
) {
  const storage = new SqliteStorage(":memory:");
  onTestFinished(() => storage.close());
  const clock = new ManualClock();
  const looks: (readonly ServerName[])[] = [];
  const looker = {
    look: async (_room: unknown, via: readonly ServerName[]) => {
      looks.push(via);
      return look(via);
    },
  };
  const rules = new RuleBook();
  const policy = new Policy({
    own: OWN,
    ledger: storage.ledger,
    looker,
    attended: storage.attendance,
    tenants: ANYBODY,
    rules,
    pointers: NOWHERE,
    coolDowns: storage.coolDowns,
    budgets: new Budgets({ ...PLENTY, ...budgets }, clock),
    limits,
    clock,
  });
  const refusals = new LeaseRefusals({
    write: (entry) => storage.audit.noteAll([entry], clock.now()),
    refused: () => {},
    clock,
    log: new CollectedLog(),
    abort: new AbortController().signal,
  });
  const desk = new LeaseDesk(storage.leases, policy, clock, refusals);
  let changes = 0;
  const count = async (): Promise<void> => {
    for (;;) {
      await desk.changed.next(new AbortController().signal);
      changes += 1;
    }
  };
  void count();
  return { storage, clock, looks, rules, policy, desk, changes: () => changes };
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

describe("a join is paid for by whoever wants it and whoever gains by it", () => {
  const HOUR = 3_600_000;
  const peek = (nr: number, roomId = ROOM): LeaseWish => ({ ...WISH, roomId, holder: { kind: "peek", name: `${nr}` } });

  test("once, however many want it at once", async () => {
    const { desk } = scene(async () => WORLD_READABLE, NO_LIMITS, { all: { joins: 1, per: HOUR } });
    const taken = await Promise.all(Array.from({ length: 100 }, async (_, nr) => desk.take(peek(nr))));
    expect(taken).toHaveLength(100);
    await expect(desk.take(peek(0, OTHER_ROOM))).rejects.toMatchObject({ code: "limited", reason: "budget-all" });
  });

  test("and not by those who come while it is under way, or while we are there", async () => {
    const { storage, desk } = scene(async () => WORLD_READABLE, NO_LIMITS, { all: { joins: 1, per: HOUR } });
    await desk.take(peek(0));
    await desk.take(peek(1));
    await storage.ledger.record(recordOf("1", [member(OWN, "join", { id: "own" })]));
    await desk.take(peek(2));
    expect(await storage.leases.ofRoom(ROOM)).toHaveLength(3);
  });

  test("again after we were put out: six times an hour, whoever asks", async () => {
    const { storage, desk, clock } = scene(async () => PUBLIC, NO_LIMITS, { room: { joins: 6, per: HOUR } });
    for (let stay = 0; stay < 6; stay += 1) {
      await desk.take(WISH);
      await desk.release(ROOM, WISH.holder);
      await storage.ledger.record(recordOf(`${stay}`, [member(OWN, "leave", { id: `${stay}` })]));
    }
    await expect(desk.take(WISH)).rejects.toMatchObject({
      code: "limited",
      reason: "budget-room",
      retryAfter: HOUR / 6,
    });
    await clock.advance(HOUR / 6);
    await desk.take(WISH);
  });

  test("by the server whose user made the room, with its name in the sentence", async () => {
    const { desk } = scene(async () => PUBLIC, NO_LIMITS, { server: { joins: 1, per: HOUR } });
    await desk.take({ ...WISH, roomId: "!1:lure.example" as RoomId });
    await expect(desk.take({ ...WISH, roomId: "!2:lure.example" as RoomId })).rejects.toThrow(
      /the server lure\.example/,
    );
    await desk.take({ ...WISH, roomId: "!3:other.example" as RoomId });
  });

  test("not where the lease is refused", async () => {
    const { desk } = scene(async () => ({ ...PUBLIC, worldReadable: false }), NO_LIMITS, {
      all: { joins: 1, per: HOUR },
    });
    for (let nr = 0; nr < 9; nr += 1) {
      await expect(desk.take(peek(nr))).rejects.toMatchObject({ reason: "not-peekable" });
    }
    await desk.take(WISH);
  });
});

test("that too many rooms are looked at is told to who asks, and stands in the audit like other refusals", async () => {
  const { storage, desk } = scene(async () => null);
  for (let nr = 0; nr < 300; nr += 1) {
    const holder: Holder = { kind: "peek", name: "user" };
    await expect(desk.take({ ...WISH, holder, roomId: `!${nr}` as RoomId })).rejects.toMatchObject({
      reason: "not-visible",
    });
  }
  const more = desk.take({ ...WISH, holder: { kind: "peek", name: "user" }, roomId: "!more" as RoomId });
  await expect(more).rejects.toMatchObject({ code: "limited", reason: "budget-user" });
  const outcomes = (await storage.audit.newest(null, 100)).map(({ outcome }) => outcome);
  expect(outcomes.filter((outcome) => outcome === "budget-user")).toHaveLength(1);
  expect(outcomes.length).toBeLessThan(10);
});

describe("what is denied", () => {
  const deny = (kind: PolicyRule["kind"], entity: string): PolicyRule => ({
    kind,
    entity,
    verdict: "deny",
    hashed: false,
    reason: null,
    source: "operator",
  });

  test("is refused without a question to the homeserver", async () => {
    const { desk, rules, looks } = scene(async () => PUBLIC);
    rules.replace("operator", [deny("room", ROOM)]);
    await expect(desk.take(WISH)).rejects.toMatchObject({ code: "refused-by-policy", reason: "denied" });
    expect(looks).toEqual([]);
  });

  test("is no route either", async () => {
    const { storage, desk, rules, looks } = scene(async () => PUBLIC);
    rules.replace("operator", [deny("server", "*.evil.example")]);
    await desk.take({ ...WISH, via: ["a.example", "b.evil.example"] as ServerName[] });
    expect(looks).toEqual([["a.example"]]);
    expect((await storage.ledger.room(ROOM))?.via).toEqual(["a.example"]);
  });

  test.each<[string, PolicyRule]>([
    ["the room's maker", deny("user", "@alice:*")],
    ["the server of whoever invites us", deny("server", "remote.example")],
    ["whoever invites us", deny("user", "@alice:remote.example")],
    ["the tenant", deny("tenant", "tele*")],
  ])("by a rule about %s", async (_what, rule) => {
    const { storage, desk, rules } = scene(async () => PUBLIC);
    rules.replace("operator", [rule]);
    const events = [
      state("m.room.create", { room_version: "12" }, { id: "create" }),
      member(OWN, "invite", { id: "own", sender: ALICE }),
    ];
    await storage.ledger.record(recordOf("1", events));
    await expect(desk.take(WISH)).rejects.toMatchObject({ reason: "denied" });
  });
});

describe("in a room of MSC1777's version that is not peekable", () => {
  const ROOM_OF_IT: RoomSummary = { ...PUBLIC, version: ROOM_VERSION };

  test("a homeserver that describes it without being told a route has a user there, who vouches", async () => {
    let isThere = false;
    const { desk, looks } = scene(async (via) => (via.length > 0 || isThere ? ROOM_OF_IT : null));
    await expect(desk.take(WISH)).rejects.toMatchObject({ reason: "join-rule" });
    isThere = true;
    await desk.take(WISH);
    expect(looks).toEqual([["a.example"], [], []]);
  });

  test("nobody has to, and the homeserver is not asked again, where a user is known to be invited", async () => {
    const { storage, desk, looks } = scene(async (via) => (via.length > 0 ? ROOM_OF_IT : null));
    await storage.ledger.record(recordOf("1", [member(CAROL, "invite", { id: "carol", sender: ALICE })]));
    await desk.take(WISH);
    expect(looks).toHaveLength(1);
  });

  test("that tells nothing, what an invite tells counts; that of the homeserver goes before", async () => {
    const invite: LeaseWish = { ...WISH, holder: { kind: "invite", name: CAROL } };
    const told = { ...ROOM_OF_IT, joinRule: "invite" };
    const blind = scene(async () => null);
    await blind.storage.ledger.record(recordOf("1", [member(CAROL, "invite", { id: "carol", sender: ALICE })]));
    await expect(blind.desk.take(invite)).rejects.toMatchObject({ reason: "not-visible" });
    await blind.desk.take({ ...invite, claims: told });
    const other = scene(async () => ({ ...PUBLIC, joinRule: "invite" }));
    await expect(other.desk.take({ ...invite, claims: told })).rejects.toMatchObject({ reason: "join-rule" });
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
    let look: RoomSummary | null = null;
    const { desk, looks } = scene(async () => look);
    await expect(desk.take(WISH)).rejects.toMatchObject({ reason: "not-visible" });
    look = PUBLIC;
    await desk.take({ ...WISH, via: ["b.example" as ServerName] });
    expect(looks).toEqual([["a.example"], ["b.example"]]);
  });

  test("goes by the routes that were named and those known of the room", async () => {
    const answers = [PUBLIC];
    const { clock, desk, looks } = scene(async () => answers.shift() ?? null);
    await desk.take(WISH);
    await clock.advance(60_000);
    await expect(desk.take({ ...WISH, via: ["b.example" as ServerName] })).rejects.toMatchObject({
      reason: "not-visible",
    });
    // Each by itself, first the one that led there before.
    expect(looks.slice(1)).toEqual([["a.example"], ["b.example"]]);
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
    await storage.attendance.noteLeave(OTHER_ROOM);
    await storage.ledger.record(recordOf("3", [member(OWN, "leave", { id: "out", room: OTHER_ROOM })]));
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
