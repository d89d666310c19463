import { describe, expect, onTestFinished, test } from "vitest";
import { MOST_SLOW, SLOW_AFTER_MS } from "../../../src/concurrency/concurrency-limit.ts";
import type { RoomId, ServerName } from "../../../src/model/ids.ts";
import type { Holder } from "../../../src/model/lease.ts";
import { SqliteStorage } from "../../../src/app/stores.ts";
import { FakeRooms, Program, PROMPT, type ProgramParts } from "../../support/attending.ts";
import { ManualClock, seededRandom, settle } from "../../support/clock.ts";
import { ROOM } from "../../support/events.ts";

const NEVER = new AbortController().signal;
const SECOND = 1_000;
const MINUTE = 60_000;
const TELEGRAM: Holder = { kind: "tenant", name: "telegram" };

async function scene(more: Partial<ProgramParts> = {}) {
  const clock = new ManualClock();
  const rooms = new FakeRooms(clock);
  const stores = new SqliteStorage(":memory:");
  const program = new Program({ rooms, clock, random: seededRandom(1), ...more, stores });
  onTestFinished(async () => {
    await program.stop();
    stores.close();
  });
  await program.start();
  const take = (roomId: RoomId, via = "a.example", holder = TELEGRAM, ttl: number | null = null) =>
    program.desk.take({ roomId, holder, via: [via as ServerName], ttl });
  return { clock, rooms, stores, program, take };
}

function named(what: string, n: number): RoomId {
  return `!${what}${n}:remote.example` as RoomId;
}

/** Rooms of this name answer after a day, all others at once. */
function silent(rooms: FakeRooms, name: string): void {
  rooms.manner = (_kind, room) => ({ ...PROMPT, takes: room.startsWith(`!${name}`) ? 24 * 60 * MINUTE : 0 });
}

describe("joins through servers that do not answer", () => {
  // Each held one of four places for ten minutes: four such rooms, and nobody got into any room.
  test("hold up others for a moment and no longer", async () => {
    const here = await scene();
    silent(here.rooms, "mute");
    for (let n = 0; n < 4; n += 1) await here.take(named("mute", n));
    await settle();
    await here.take(ROOM);
    await here.clock.advance(SLOW_AFTER_MS - 1);
    expect(here.rooms.joinsOf(ROOM)).toBe(0);
    await here.clock.advance(1);
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("are so many at most, beside those that are under way as always", async () => {
    const here = await scene();
    silent(here.rooms, "mute");
    for (let n = 0; n < 60; n += 1) await here.take(named("mute", n));
    await here.clock.advance(20 * MINUTE);
    expect(here.rooms.most).toEqual({ inAll: 4 + MOST_SLOW, inOneRoom: 1 });
  });

  test("give up when there are more, first those of the server that has most of them, and are made again later", async () => {
    const here = await scene();
    silent(here.rooms, "mute");
    await here.take(named("mute", 99), "slow.example");
    for (let n = 0; n < MOST_SLOW; n += 1) await here.take(named("mute", n), "mute.example");
    await here.clock.advance(5 * SLOW_AFTER_MS + 2 * SECOND);
    const joins = (n: number) => here.rooms.joinsOf(named("mute", n));
    expect([joins(99), joins(0)]).toEqual([1, 2]);
    const { attendance } = await here.stores.attendance.situation(named("mute", 99));
    expect(attendance).toMatchObject({ phase: "joining", tries: 0, code: null });
  });

  test("do not wait in line with the others when they are made again", async () => {
    const here = await scene({ options: { joinTimeout: 30 * SECOND } });
    silent(here.rooms, "mute");
    for (let n = 0; n < 8; n += 1) await here.take(named("mute", n));
    await here.clock.advance(2 * MINUTE);
    expect(here.rooms.joinsOf(named("mute", 7))).toBeGreaterThan(1);
    // All of them are under way again, or soon will be; the newcomer's turn comes at once.
    await here.take(ROOM);
    await settle();
    expect(here.rooms.membership(ROOM)).toBe("join");
  });

  test("end with the last lease of their room: nothing is tried for ever that nobody wants", async () => {
    const here = await scene({ options: { joinTimeout: MINUTE } });
    silent(here.rooms, "mute");
    for (let n = 0; n < 3; n += 1)
      await here.take(named("mute", n), "a.example", { kind: "peek", name: "p" }, 30 * MINUTE);
    await here.clock.advance(60 * MINUTE);
    const before = here.rooms.moves.length;
    expect(before).toBeLessThan(3 * 20);
    await here.clock.advance(24 * 60 * MINUTE);
    expect(here.rooms.moves).toHaveLength(before);
    expect(await here.stores.attendance.nextDue(new Set())).toBeNull();
  });

  test("are broken off by a stop", async () => {
    const here = await scene();
    silent(here.rooms, "mute");
    for (let n = 0; n < 8; n += 1) await here.take(named("mute", n));
    await here.clock.advance(MINUTE);
    await here.program.stop();
    expect(here.clock.sleepers).toBe(0);
  });
});

describe("an invite that nobody wants", () => {
  async function invited() {
    const here = await scene();
    here.rooms.put(ROOM, "invite");
    await here.rooms.deliver(here.program.recorder);
    await settle();
    return here;
  }

  test("is declined, with the reason, and seen to be", async () => {
    const here = await invited();
    expect(await here.program.keeper.decline(ROOM, "for no tenant here")).toBe("done");
    expect(here.rooms.moves).toMatchObject([{ kind: "leave", roomId: ROOM, reason: "for no tenant here" }]);
    expect(await here.stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave" });
    expect((await here.stores.audit.newest(null, 1))[0]).toMatchObject({ action: "room.decline", outcome: "done" });
    expect(await here.program.keeper.decline(ROOM, "again")).toBe("moot");
  });

  test("is left alone where somebody wants the room by now", async () => {
    const here = await invited();
    here.rooms.manner = () => ({ takes: 0, outcome: "retry", retryAfter: MINUTE });
    await here.take(ROOM);
    await settle();
    expect(await here.program.keeper.decline(ROOM, "no")).toBe("moot");
    expect(here.rooms.leavesOf(ROOM)).toBe(0);
  });

  test.each(["refused", "retry"] as const)("stands where the homeserver's answer is %s", async (outcome) => {
    const here = await invited();
    here.rooms.manner = () => ({ ...PROMPT, outcome });
    expect(await here.program.keeper.decline(ROOM, "no")).toBe(outcome);
    expect(await here.stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "invite" });
  });

  test("that was taken back counts as declined", async () => {
    const here = await invited();
    here.rooms.put(ROOM, "leave");
    expect(await here.program.keeper.decline(ROOM, "no")).toBe("done");
  });

  test("holds up no join, however long it takes and however many there are", async () => {
    const here = await scene();
    silent(here.rooms, "spam");
    const spam = Array.from({ length: 20 }, (_, n) => named("spam", n));
    for (const room of spam) here.rooms.put(room, "invite");
    await here.rooms.deliver(here.program.recorder);
    await settle();
    const answers = spam.map((room) => here.program.keeper.decline(room, "no"));
    await here.program.keeper.untilPresent(await here.take(ROOM), MINUTE, NEVER);
    expect(here.rooms.moves.filter(({ kind }) => kind === "leave")).toHaveLength(1);
    await here.clock.advance(20 * MINUTE);
    expect(await Promise.all(answers)).toEqual(spam.map(() => "retry"));
  });
});
