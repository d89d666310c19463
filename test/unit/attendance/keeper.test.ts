import { describe, expect, onTestFinished, test } from "vitest";
import type { AttendanceStore } from "../../../src/attendance/store/attendance.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomId, ServerName } from "../../../src/model/ids.ts";
import type { Holder } from "../../../src/model/lease.ts";
import { SqliteStorage } from "../../../src/app/stores.ts";
import { FakeRooms, OPTIONS, Program, PROMPT, PUBLIC, type ProgramParts } from "../../support/attending.ts";
import { ManualClock, seededRandom, settle } from "../../support/clock.ts";
import { NEW_ROOM, OTHER_ROOM, ROOM } from "../../support/events.ts";
import type { Stores } from "../../support/storage.ts";

const TELEGRAM: Holder = { kind: "tenant", name: "telegram" };
const NEVER = new AbortController().signal;
/** A wait for presence that is longer than any test. */
const PATIENT = 7 * 24 * 60 * 60_000;
const MINUTE = 60_000;

interface Scene {
  readonly clock: ManualClock;
  readonly rooms: FakeRooms;
  readonly stores: Stores;
  readonly program: Program;
}

async function scene(more: Partial<ProgramParts> = {}): Promise<Scene> {
  const clock = new ManualClock();
  const rooms = more.rooms ?? new FakeRooms(clock);
  const storage = new SqliteStorage(":memory:");
  const stores = more.stores ?? storage;
  const program = new Program({ rooms, clock, random: seededRandom(1), ...more, stores });
  onTestFinished(async () => {
    await program.stop();
    storage.close();
  });
  await program.start();
  return { clock, rooms, stores, program };
}

/** A scene with the pseudouser in the room, for one tenant, and everything told and written. */
async function present(more: Partial<ProgramParts> = {}): Promise<Scene> {
  const here = await scene(more);
  await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
  await here.rooms.deliver(here.program.recorder);
  await settle();
  return here;
}

async function take({ program }: Scene, roomId: RoomId = ROOM, holder = TELEGRAM, ttl: number | null = null) {
  return program.desk.take({ roomId, holder, via: ["a.example" as ServerName], ttl });
}

async function phaseOf({ stores }: Scene, roomId = ROOM) {
  return (await stores.attendance.situation(roomId)).attendance;
}

/** The code and reason with which waiting for presence failed. */
async function failureOf(waiting: Promise<void>): Promise<[string, string | null]> {
  try {
    await waiting;
  } catch (error) {
    if (error instanceof EmissaryError) return [error.code, error.reason];
    throw error;
  }
  throw new Error("it did not fail");
}

describe("a lease brings the pseudouser into its room", () => {
  test("at once, by the lease's routes, and whoever waits is told", async () => {
    const here = await scene();
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    expect(here.rooms.membership(ROOM)).toBe("join");
    expect(here.rooms.moves).toMatchObject([{ kind: "join", roomId: ROOM, via: ["a.example"] }]);
    await here.clock.advance(MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "present", nextAt: null, tries: 0, code: null });
    expect(here.rooms.moves).toHaveLength(1);
  });

  test("with the reason that the operator gives, or none", async () => {
    const here = await scene({ options: { joinReason: "somebody here reads along" } });
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    here.program.keeper.setOptions(OPTIONS);
    await here.program.keeper.untilPresent(await take(here, OTHER_ROOM), PATIENT, NEVER);
    expect(here.rooms.moves.map(({ reason }) => reason)).toEqual(["somebody here reads along", null]);
  });

  test("a thousand who want the same room at once cause one join", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ ...PROMPT, takes: 5_000 });
    const waiting = Array.from({ length: 1_000 }, async (_, n) => {
      const lease = await take(here, ROOM, { kind: "peek", name: `p${n}` });
      await here.program.keeper.untilPresent(lease, PATIENT, NEVER);
    });
    await here.clock.advance(5_000);
    await Promise.all(waiting);
    expect(here.rooms.joinsOf(ROOM)).toBe(1);
  });

  test("a room that we are in already is there without asking the homeserver", async () => {
    const here = await scene();
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    const second = await take(here, ROOM, { kind: "peek", name: "p" });
    await here.program.keeper.untilPresent(second, PATIENT, NEVER);
    expect(here.rooms.moves).toHaveLength(1);
  });

  test("the join counts once the homeserver tells of it, be it by an event only", async () => {
    const here = await scene();
    here.rooms.tells = () => "nothing";
    const waiting = here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    let present = false;
    void waiting.then(() => (present = true));
    await settle();
    expect([here.rooms.membership(ROOM), present]).toEqual(["join", false]);
    await here.rooms.deliver(here.program.recorder);
    await waiting;
  });

  test("what is under way at once is bounded, and every room's turn comes", async () => {
    const here = await scene({ options: { concurrency: 3 } });
    here.rooms.manner = () => ({ ...PROMPT, takes: 1_000 });
    const rooms = Array.from({ length: 20 }, (_, n) => `!r${n}:remote.example` as RoomId);
    for (const room of rooms) await take(here, room);
    await here.clock.advance(8_000);
    expect(here.rooms.most).toEqual({ inAll: 3, inOneRoom: 1 });
    expect(rooms.map((room) => here.rooms.membership(room))).toEqual(rooms.map(() => "join"));
  });

  test("joins are begun no faster than the pace", async () => {
    const here = await scene({ options: { concurrency: 64, joinsPerSecond: 2 } });
    for (let n = 0; n < 6; n += 1) await take(here, `!r${n}:remote.example` as RoomId);
    const begun = here.clock.now();
    await here.clock.advance(10_000);
    expect(here.rooms.moves.map(({ at }) => at - begun)).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500]);
  });

  test("the members are asked for once we are in", async () => {
    const here = await scene();
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    expect(await here.stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "join", load: "wanted" });
  });
});

describe("a join that fails", () => {
  test("for now is tried again, later each time, until it succeeds", async () => {
    const here = await scene();
    let failures = 5;
    here.rooms.manner = () => ({ ...PROMPT, outcome: (failures -= 1) >= 0 ? "retry" : "done" });
    const waiting = here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    await settle();
    expect(await phaseOf(here)).toMatchObject({ phase: "joining", tries: 1, code: "M_LIMIT_EXCEEDED" });
    await here.clock.advance(10 * MINUTE);
    await waiting;
    const gaps = here.rooms.moves.slice(1).map(({ at }, index) => at - here.rooms.moves[index]!.at);
    expect(gaps).toHaveLength(5);
    for (const [index, gap] of gaps.entries()) {
      expect(gap).toBeGreaterThanOrEqual(500 * 2 ** index);
      expect(gap).toBeLessThanOrEqual(1_000 * 2 ** index);
    }
    expect(await phaseOf(here)).toMatchObject({ phase: "present", tries: 0, retryAt: null, code: null, reason: null });
  });

  test("is not tried again before the time that the homeserver named", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 30_000 });
    await take(here);
    await here.clock.advance(29_999);
    expect(here.rooms.joinsOf(ROOM)).toBe(1);
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(1);
    expect(here.rooms.joinsOf(ROOM)).toBe(2);
  });

  test("keeps its time also for a holder who comes meanwhile", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 30_000 });
    await take(here);
    await here.clock.advance(10_000);
    await take(here, ROOM, { kind: "peek", name: "p" });
    await here.clock.advance(10_000);
    expect(here.rooms.joinsOf(ROOM)).toBe(1);
  });

  test("does not hold up another room", async () => {
    const here = await scene({ options: { concurrency: 1 } });
    here.rooms.manner = (_kind, room) => (room === ROOM ? { takes: 0, outcome: "retry", retryAfter: MINUTE } : PROMPT);
    await take(here);
    await here.program.keeper.untilPresent(await take(here, OTHER_ROOM), PATIENT, NEVER);
  });

  test("for good ends the leases, tells the reason, and is not tried again", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ ...PROMPT, outcome: "refused" });
    const lease = await take(here);
    expect(await failureOf(here.program.keeper.untilPresent(lease, PATIENT, NEVER))).toEqual([
      "refused-by-homeserver",
      "M_FORBIDDEN",
    ]);
    await here.clock.advance(60 * MINUTE);
    expect(await here.stores.leases.ofRoom(ROOM)).toEqual([]);
    expect(await phaseOf(here)).toMatchObject({ phase: "refused", code: "M_FORBIDDEN", reason: "no" });
    expect(here.rooms.moves).toHaveLength(1);
  });

  test("for good does not stand in the way of a new wish", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ ...PROMPT, outcome: "refused" });
    await failureOf(here.program.keeper.untilPresent(await take(here), PATIENT, NEVER));
    here.rooms.manner = () => PROMPT;
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    await settle();
    expect(await phaseOf(here)).toMatchObject({ phase: "present", code: null });
  });

  test("that takes longer than is allowed is broken off and made again", async () => {
    const here = await scene({ options: { joinTimeout: MINUTE } });
    here.rooms.manner = () => ({ ...PROMPT, takes: 60 * MINUTE });
    await take(here);
    await here.clock.advance(MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "joining", code: "timeout", tries: 1 });
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("whose answer was lost is made again, and does no harm", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ ...PROMPT, outcome: "lost" });
    await take(here);
    await settle();
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "present" });
  });

  test("whose outcome nobody tells is made again after a while", async () => {
    const here = await scene();
    here.rooms.tells = () => "unreachable";
    await take(here);
    await here.clock.advance(MINUTE);
    expect(here.rooms.joinsOf(ROOM)).toBeGreaterThan(1);
    expect(here.rooms.joinsOf(ROOM)).toBeLessThan(10);
    here.rooms.tells = () => "yes";
    await here.clock.advance(10 * MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "present" });
  });
});

describe("policy", () => {
  test("is asked again before the join: a room that closed meanwhile is refused", async () => {
    let look = PUBLIC;
    const here = await scene({ look: async () => look });
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 5 * MINUTE });
    const lease = await take(here);
    await here.clock.advance(MINUTE);
    look = { ...PUBLIC, joinRule: "invite" };
    await here.clock.advance(10 * MINUTE);
    expect(await failureOf(here.program.keeper.untilPresent(lease, PATIENT, NEVER))).toEqual([
      "refused-by-homeserver",
      "join-rule",
    ]);
    expect(here.rooms.joinsOf(ROOM)).toBe(1);
  });

  test("that has nothing against one of several holders lets us in for all", async () => {
    let look = PUBLIC;
    const here = await scene({ look: async () => look });
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 5 * MINUTE });
    await take(here);
    await take(here, ROOM, { kind: "operator", name: "cli" });
    look = { ...PUBLIC, joinRule: "invite" };
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(10 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("that cannot look because the homeserver is down puts the join off, and the lease stays", async () => {
    let isDown = false;
    const here = await scene({
      look: async () => {
        if (isDown) throw new EmissaryError("homeserver-unreachable", "The homeserver is not there.");
        return PUBLIC;
      },
    });
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 5 * MINUTE });
    await take(here);
    isDown = true;
    await here.clock.advance(6 * MINUTE);
    expect(await phaseOf(here)).toMatchObject({ code: "homeserver-unreachable" });
    isDown = false;
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(20 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });
});

describe("when the last lease of a room has ended", () => {
  test("we linger, then leave", async () => {
    const here = await present();
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(MINUTE - 1);
    expect(here.rooms.membership(ROOM)).toBe("join");
    expect(await phaseOf(here)).toMatchObject({ phase: "present" });
    await here.clock.advance(MINUTE / 2 + 1);
    expect(here.rooms.membership(ROOM)).toBe("leave");
    await here.clock.advance(60 * MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "absent", nextAt: null });
    expect(here.rooms.leavesOf(ROOM)).toBe(1);
  });

  test("a lease taken while we linger keeps us there, and the linger begins anew after it", async () => {
    const here = await present();
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(MINUTE / 2);
    await take(here);
    await here.clock.advance(10 * MINUTE);
    expect(here.rooms.moves).toHaveLength(1);
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(MINUTE - 1);
    expect(here.rooms.leavesOf(ROOM)).toBe(0);
    await here.clock.advance(MINUTE / 2 + 1);
    expect(here.rooms.leavesOf(ROOM)).toBe(1);
  });

  test("rooms that were given up at one moment are left at different ones, up to half the linger later", async () => {
    const here = await scene();
    const rooms = Array.from({ length: 12 }, (_, n) => `!r${n}:remote.example` as RoomId);
    for (const room of rooms) await here.program.keeper.untilPresent(await take(here, room), PATIENT, NEVER);
    await settle();
    const begun = here.clock.now();
    for (const room of rooms) await here.program.desk.release(room, TELEGRAM);
    await here.clock.advance(2 * MINUTE);
    const lingered = here.rooms.moves.filter(({ kind }) => kind === "leave").map(({ at }) => at - begun);
    expect(new Set(lingered).size).toBeGreaterThan(6);
    expect(Math.min(...lingered)).toBeGreaterThanOrEqual(MINUTE);
    expect(Math.max(...lingered)).toBeLessThanOrEqual(1.5 * MINUTE);
  });

  test.each([
    ["looked into in one hour, however often", 10 * MINUTE, "peek", 1],
    ["looked into in three hours of the day", 60 * MINUTE, "peek", 4],
    ["that a bot was in as often", 60 * MINUTE, "tenant", 1],
    ["looked into in three hours, where half of the rooms are used", 60 * MINUTE, "peek", 1, 1],
  ] as const)("a room %s is left after its own time", async (_what, apart, kind, times, maxRooms: number = 1_000) => {
    const here = await scene({ options: { maxRooms } });
    // Soon after an hour has begun.
    await here.clock.advance(65 * MINUTE - (here.clock.now() % (60 * MINUTE)));
    for (let looks = 0; looks < 3; looks += 1) {
      const name = `somebody-${looks}`;
      await here.program.keeper.untilPresent(await take(here, ROOM, { kind, name }), PATIENT, NEVER);
      await settle();
      await here.program.desk.release(ROOM, { kind, name });
      if (looks < 2) await here.clock.advance(apart);
    }
    await here.clock.advance(times * MINUTE - 1);
    expect(here.rooms.membership(ROOM)).toBe("join");
    await here.clock.advance((times * MINUTE) / 2 + 1);
    expect(here.rooms.membership(ROOM)).toBe("leave");
  });

  test("a restart does not draw the time of leaving anew", async () => {
    const here = await present();
    await here.program.desk.release(ROOM, TELEGRAM);
    await settle();
    const { leaveAt } = await phaseOf(here);
    await here.program.stop();
    const { stores, rooms, clock } = here;
    const next = new Program({ rooms, clock, random: seededRandom(2), stores });
    await next.start();
    await clock.advance(MINUTE / 2);
    expect((await phaseOf(here)).leaveAt).toBe(leaveAt);
    await next.stop();
  });

  test("as long as another has one, we stay", async () => {
    const here = await present();
    await take(here, ROOM, { kind: "peek", name: "p" });
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(60 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("one that expires counts like one that was given back", async () => {
    const here = await scene();
    await take(here, ROOM, TELEGRAM, 5 * MINUTE);
    await here.clock.advance(5 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
    await here.clock.advance(2 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("leave");
  });

  test("a leave that fails for now is tried again", async () => {
    const here = await present({ options: { linger: 0 } });
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: null });
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(100);
    expect(await phaseOf(here)).toMatchObject({ phase: "leaving", tries: 1 });
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("leave");
  });

  test("before the join has begun, no join is made", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 30_000 });
    await take(here);
    await settle();
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(10 * MINUTE);
    expect(here.rooms.joinsOf(ROOM)).toBe(1);
  });

  // Whoever gave up a join that had failed for now left the room in the phase `refused`: `status` told the operator of a no
  // that nobody had said.
  test("while its join was failing for now, the room is absent and not refused", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 30_000 });
    await take(here);
    await settle();
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(10 * MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "absent" });
  });

  // A room that was deleted on the homeserver answers a leave with a no and tells nothing of our membership. We asked it to let
  // us go every ten seconds, for ever.
  test("a leave that is refused again and again is tried ever more seldom", async () => {
    const here = await present({ options: { linger: 0 } });
    here.rooms.manner = () => ({ ...PROMPT, outcome: "refused" });
    here.rooms.tells = () => "nothing";
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(60 * MINUTE);
    expect(here.rooms.leavesOf(ROOM)).toBeLessThan(30);
  });
});

describe("put out by somebody", () => {
  test.each([
    ["leave", "kicked"],
    ["ban", "banned"],
  ] as const)(
    "with a %s: the leases end as %s, whoever waits is told, and we do not come back",
    async (membership, end) => {
      const here = await present();
      const lease = await take(here);
      here.rooms.put(ROOM, membership);
      await here.rooms.deliver(here.program.recorder);
      await here.clock.advance(60 * MINUTE);
      expect(await failureOf(here.program.keeper.untilPresent(lease, PATIENT, NEVER))).toEqual([
        "refused-by-homeserver",
        end,
      ]);
      expect(await phaseOf(here)).toMatchObject({ phase: "refused", code: end, nextAt: null });
      expect(here.rooms.moves).toHaveLength(1);
    },
  );

  test("after a kick a new wish is refused for a while, and then joins again", async () => {
    const here = await present();
    here.rooms.put(ROOM, "leave");
    await here.rooms.deliver(here.program.recorder);
    await expect(take(here)).rejects.toMatchObject({ reason: "put-out", retryAfter: 10 * MINUTE });
    await here.clock.advance(10 * MINUTE);
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("the operator's wish and whoever invites us back need not wait", async () => {
    const here = await present();
    here.rooms.put(ROOM, "leave");
    await here.rooms.deliver(here.program.recorder);
    const byHand = await take(here, ROOM, { kind: "operator", name: "cli" });
    await here.program.keeper.untilPresent(byHand, PATIENT, NEVER);
    for (const membership of ["leave", "invite"] as const) here.rooms.put(ROOM, membership);
    await here.rooms.deliver(here.program.recorder);
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("after a ban a new wish is told the homeserver's no, once it is heard", async () => {
    const here = await present();
    here.rooms.put(ROOM, "ban");
    await here.rooms.deliver(here.program.recorder);
    await here.clock.advance(10 * MINUTE);
    expect(await failureOf(here.program.keeper.untilPresent(await take(here), PATIENT, NEVER))).toEqual([
      "refused-by-homeserver",
      "M_FORBIDDEN",
    ]);
  });

  // The confirmation of a join is an answer on its way while events arrive. One that was made before a kick and came after it
  // overwrote the kick: the ledger had us in a room that we were not in, and new leases there counted as present at once.
  test("while the confirmation of our join is on its way: the kick stands", async () => {
    const here = await scene();
    const asked = here.rooms.ownMembership.bind(here.rooms);
    here.rooms.ownMembership = async (roomId) => {
      const answer = await asked(roomId);
      await here.clock.sleep(1_000);
      return answer;
    };
    await take(here);
    await settle();
    here.rooms.put(ROOM, "leave");
    await here.rooms.deliver(here.program.recorder);
    await here.clock.advance(2_000);
    expect(await here.stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave" });
  });
});

describe("whoever waits for presence", () => {
  test("is told when its lease is released meanwhile", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: MINUTE });
    const waiting = failureOf(here.program.keeper.untilPresent(await take(here), PATIENT, NEVER));
    await settle();
    await here.program.desk.release(ROOM, TELEGRAM);
    await here.clock.advance(1_000);
    expect((await waiting)[0]).toBe("refused-by-homeserver");
  });

  test("is told at its deadline that the join goes on, and why it takes so long", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: 2 * MINUTE });
    const waiting = here.program.keeper.untilPresent(await take(here), MINUTE, NEVER);
    const told = expect(waiting).rejects.toMatchObject({
      code: "timeout",
      message: expect.stringContaining("too many requests") as string,
    });
    await here.clock.advance(MINUTE);
    await told;
    here.rooms.manner = () => PROMPT;
    await here.clock.advance(5 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("and goes away itself is let go, while the join goes on", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ ...PROMPT, takes: 5_000 });
    const gone = new AbortController();
    const waiting = failureOf(here.program.keeper.untilPresent(await take(here), PATIENT, gone.signal));
    await settle();
    gone.abort();
    expect((await waiting)[0]).toBe("timeout");
    await here.clock.advance(5_000);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });
});

// Between reading a room's situation and writing what follows from it, something may happen that sets the room's time to now.
// Resting overwrote that with "not before something happens", so that it was forgotten, also over restarts.
describe("what happens at the very moment that the keeper lays a room to rest is not forgotten", () => {
  /** A scene in which `meanwhile`, once set, happens after the next reading of a situation. */
  async function interrupted() {
    const storage = new SqliteStorage(":memory:");
    onTestFinished(() => storage.close());
    const moment: { meanwhile: (() => Promise<unknown>) | null } = { meanwhile: null };
    const attendance = withMethods(storage.attendance, {
      situation: async (roomId: RoomId) => {
        const situation = await storage.attendance.situation(roomId);
        const act = moment.meanwhile;
        moment.meanwhile = null;
        await act?.();
        return situation;
      },
    });
    return { here: await scene({ stores: withMethods(storage, { attendance }) }), moment };
  }

  test("a lease that is booked", async () => {
    const { here, moment } = await interrupted();
    const brief: Holder = { kind: "peek", name: "gives up at once" };
    moment.meanwhile = () => take(here);
    await take(here, ROOM, brief);
    await here.program.desk.release(ROOM, brief);
    await here.clock.advance(10 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("the last lease that is released", async () => {
    const { here, moment } = await interrupted();
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    await settle();
    moment.meanwhile = async () => {
      await here.program.desk.release(ROOM, TELEGRAM);
    };
    await take(here);
    await here.clock.advance(10 * MINUTE);
    expect(here.rooms.membership(ROOM)).toBe("leave");
  });

  test("a kick", async () => {
    const here = await scene();
    await here.program.keeper.untilPresent(await take(here), PATIENT, NEVER);
    // The waiter is told in the middle of the keeper's round, and what it does next falls into that.
    here.rooms.put(ROOM, "leave");
    await here.rooms.deliver(here.program.recorder);
    await here.clock.advance(10 * MINUTE);
    expect(await phaseOf(here)).toMatchObject({ phase: "refused", code: "kicked" });
  });
});

/** The same object with some methods replaced. */
function withMethods<Target extends object, Replaced extends object>(
  target: Target,
  replaced: Replaced,
): Target & Replaced {
  return new Proxy(target, {
    get(_target, key) {
      if (Object.hasOwn(replaced, key)) return (replaced as Record<PropertyKey, unknown>)[key];
      const value = (target as Record<PropertyKey, unknown>)[key];
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  }) as Target & Replaced;
}

describe("stopping", () => {
  test("breaks off a join under way, tells whoever waits, and takes on nothing new", async () => {
    const here = await scene();
    here.rooms.manner = () => ({ ...PROMPT, takes: 60 * MINUTE });
    const waiting = failureOf(here.program.keeper.untilPresent(await take(here), PATIENT, NEVER));
    await settle();
    await here.program.stop();
    expect((await waiting)[0]).toBe("not-ready");
    await take(here, OTHER_ROOM);
    await here.clock.advance(60 * MINUTE);
    expect(here.rooms.joinsOf(OTHER_ROOM)).toBe(0);
    expect(here.clock.sleepers).toBe(0);
  });

  test("ends also while nothing is to be done, and while a join waits for its turn", async () => {
    const idle = await scene();
    await idle.program.stop();
    const busy = await scene({ options: { joinsPerSecond: 0.1 } });
    for (const room of [ROOM, OTHER_ROOM, NEW_ROOM]) await take(busy, room);
    await settle();
    await busy.program.stop();
    expect(busy.rooms.moves).toHaveLength(1);
  });

  test("in the middle of a join leaves a note that the next start takes up", async () => {
    const storage = new SqliteStorage(":memory:");
    onTestFinished(() => storage.close());
    const first = await scene({ stores: storage });
    first.rooms.manner = () => ({ ...PROMPT, takes: 60 * MINUTE });
    await take(first);
    await settle();
    await first.program.stop();
    const second = await scene({ stores: storage });
    await second.clock.advance(MINUTE);
    expect(second.rooms.joinsOf(ROOM)).toBe(1);
    expect(second.rooms.membership(ROOM)).toBe("join");
  });
});

// A full disk fails every step and every note of the failure. The room's time stayed in the past, and the keeper took it up
// again without a pause: nothing else in the process had its turn any more.
test("a database that takes nothing does not make the keeper run in circles", async () => {
  const storage = new SqliteStorage(":memory:");
  onTestFinished(() => storage.close());
  let tries = 0;
  let isFull = false;
  const save: AttendanceStore["save"] = async (attendance, revision) => {
    tries += 1;
    // The bound is the test's own way out.
    if (isFull && tries < 1_000) throw new Error("the disk is full");
    return storage.attendance.save(attendance, revision);
  };
  const here = await scene({ stores: withMethods(storage, { attendance: withMethods(storage.attendance, { save }) }) });
  isFull = true;
  await take(here);
  await settle();
  expect(tries).toBeLessThan(10);
  isFull = false;
  await here.clock.advance(MINUTE);
  expect(here.rooms.membership(ROOM)).toBe("join");
});
