import { describe, expect, onTestFinished, test } from "vitest";
import { Reviewer } from "../../../../src/attendance/leases/reviewer.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { RoomId } from "../../../../src/model/ids.ts";
import type { HolderKind } from "../../../../src/model/lease.ts";
import { Signal } from "../../../../src/concurrency/signal.ts";
import type { Verdict, VerdictCode } from "../../../../src/model/verdict.ts";
import type { Ask } from "../../../../src/policy/inputs.ts";
import { SqliteStorage } from "../../../../src/app/stores.ts";
import { silent } from "../../../support/attending.ts";
import { ManualClock, settle } from "../../../support/clock.ts";
import { member, OTHER_ROOM, OWN, recordOf, ROOM } from "../../../support/events.ts";

const SECOND = 1_000;

/** A reviewer that runs, and a policy that says of each wish what the test wants; null for nothing against it. */
async function scene(refusal: (ask: Ask) => VerdictCode | null | EmissaryError = () => null) {
  const clock = new ManualClock();
  const storage = new SqliteStorage(":memory:");
  const asked: Ask[] = [];
  const refused: [string, HolderKind, number][] = [];
  const signals = { committed: new Signal(), stepped: new Signal(), rules: new Signal(), tenants: new Signal() };
  const abort = new AbortController();
  const judge = async (ask: Ask): Promise<Verdict> => {
    asked.push(ask);
    const code = refusal(ask);
    if (code instanceof EmissaryError) throw code;
    return { allowed: code === null, code: code ?? "allowed", reason: "said the test", retryAfter: null, inputs: {} };
  };
  const reviewer = new Reviewer({
    store: storage.reviews,
    policy: { judge },
    ...signals,
    ended: new Signal(),
    refused: (...told) => refused.push(told),
    clock,
    log: silent,
  });
  const enter = async (room: RoomId, isLoaded = true) => {
    await storage.ledger.record(recordOf(`in ${room}`, [member(OWN, "join", { id: `own ${room}`, room })]));
    if (!isLoaded) return;
    const ticket = await storage.loads.begin(room);
    await storage.loads.part(ticket, recordOf("", [member(OWN, "join", { id: `own ${room}`, room })]).changes, 0);
    await storage.loads.finish(ticket, clock.now());
  };
  const book = (room: RoomId, kind: HolderKind, name: string) =>
    storage.leases.book({ roomId: room, holder: { kind, name }, via: [], ttl: null }, clock.now());
  let running = Promise.resolve();
  const start = async () => {
    running = reviewer.run(abort.signal);
    await clock.advance(SECOND);
  };
  onTestFinished(async () => {
    abort.abort();
    await running;
    expect(clock.sleepers).toBe(0);
    storage.close();
  });
  return { clock, storage, asked, refused, signals, enter, book, start };
}

async function live({ leases }: SqliteStorage, room: RoomId = ROOM): Promise<string[]> {
  return (await leases.ofRoom(room)).map(({ holder }) => holder.name);
}

describe("leases are judged again", () => {
  test("at the start, once for all that policy does not tell apart", async () => {
    const here = await scene();
    await here.enter(ROOM);
    for (const name of ["p", "q", "r"]) await here.book(ROOM, "peek", name);
    for (const name of ["telegram", "irc"]) await here.book(ROOM, "tenant", name);
    await here.start();
    expect(here.asked.map(({ holder }) => holder.name).sort()).toEqual(["irc", "p", "telegram"]);
  });

  test("when rules change, and only those of tenants when tenants do", async () => {
    const here = await scene();
    await here.enter(ROOM);
    await here.enter(OTHER_ROOM);
    await here.book(ROOM, "tenant", "telegram");
    await here.book(OTHER_ROOM, "peek", "p");
    await here.start();
    for (const [signal, rooms] of [
      [here.signals.rules, [OTHER_ROOM, ROOM]],
      [here.signals.tenants, [ROOM]],
    ] as const) {
      await here.clock.advance(10 * SECOND);
      here.asked.length = 0;
      signal.notify();
      await here.clock.advance(SECOND);
      expect(here.asked.map(({ roomId }) => roomId).sort()).toEqual([...rooms].sort());
    }
  });

  test("a hundred changes of the rules within a second cause one review of a room, or two", async () => {
    const here = await scene();
    await here.enter(ROOM);
    await here.book(ROOM, "peek", "p");
    await here.start();
    await here.clock.advance(10 * SECOND);
    here.asked.length = 0;
    for (let n = 0; n < 100; n += 1) {
      here.signals.rules.notify();
      await here.clock.advance(10);
    }
    await here.clock.advance(10 * SECOND);
    expect(here.asked.length).toBeLessThanOrEqual(2);
  });
});

describe("those that are refused", () => {
  test("end, however many they are, and are counted; the others stay", async () => {
    const here = await scene(({ holder }) => (holder.kind === "peek" ? "not-peekable" : null));
    await here.enter(ROOM);
    for (let n = 0; n < 450; n += 1) await here.book(ROOM, "peek", `p${n}`);
    await here.book(ROOM, "tenant", "telegram");
    await here.start();
    expect(await live(here.storage)).toEqual(["telegram"]);
    expect(here.refused).toEqual([["not-peekable", "peek", 450]]);
  });

  test.each<[VerdictCode, boolean]>([
    ["denied", true],
    ["listed", true],
    ["server-acl", true],
    ["flooded", true],
    ["not-peekable", false],
    ["join-rule", false],
    ["not-allowed", false],
    ["upgrade-chain", false],
    ["room-version", false],
  ])("with %s are left at once: %s", async (code, atOnce) => {
    const here = await scene(() => code);
    await here.enter(ROOM);
    await here.book(ROOM, "peek", "p");
    await here.start();
    const { attendance } = await here.storage.attendance.situation(ROOM);
    expect([attendance.code, attendance.leaveAt !== null]).toEqual([code, atOnce]);
  });
});

describe("while a room is not loaded", () => {
  test.each<[VerdictCode, boolean]>([
    ["denied", true],
    ["not-allowed", true],
    ["not-peekable", false],
    ["join-rule", false],
  ])("how it looks from outside ends nothing: %s does: %s", async (code, ends) => {
    const here = await scene(() => code);
    await here.enter(ROOM, false);
    await here.book(ROOM, "peek", "p");
    await here.start();
    expect(await live(here.storage)).toEqual(ends ? [] : ["p"]);
    await here.enter(ROOM);
    here.signals.stepped.notify();
    await here.clock.advance(5 * SECOND);
    expect(await live(here.storage)).toEqual([]);
  });
});

test("a room that cannot be judged holds up no other, and is tried again with growing pauses", async () => {
  let isDown = true;
  const here = await scene(({ roomId }) =>
    roomId === ROOM && isDown ? new EmissaryError("homeserver-unreachable", "It is not there.") : "denied",
  );
  for (const room of [ROOM, OTHER_ROOM]) {
    await here.enter(room);
    await here.book(room, "peek", "p");
  }
  await here.start();
  expect([await live(here.storage), await live(here.storage, OTHER_ROOM)]).toEqual([["p"], []]);
  await here.clock.advance(3_600 * SECOND);
  expect(here.asked.length).toBeLessThan(20);
  isDown = false;
  await here.clock.advance(600 * SECOND);
  expect(await live(here.storage)).toEqual([]);
});

test("what the homeserver does not tell is nothing that changed", async () => {
  const here = await scene(() => "not-visible");
  await here.enter(ROOM);
  await here.book(ROOM, "peek", "p");
  await here.start();
  await settle();
  expect(await live(here.storage)).toEqual(["p"]);
});
