import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { peekFilter } from "../../../src/peek/msc2753/filter.ts";
import type { RoomRest } from "../../../src/peek/homeserver/open-room.ts";
import type { Places } from "../../../src/peek/msc2753/token.ts";
import { PeekView, type ViewParts } from "../../../src/peek/msc2753/view.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { settle } from "../../support/clock.ts";
import { Device, World } from "./sync-world.ts";

const ROOMS = ["!a:x", "!b:x"] as RoomId[];
const ROOM = ROOMS[0] as RoomId;

const anyRoom = fc.constantFrom(...ROOMS);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom("say", "tell"), anyRoom, fc.integer({ min: 1, max: 6 })) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom("miss", "cut", "fork", "ignored"), anyRoom, fc.integer({ min: 1, max: 4 })),
  },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom("deliver", "show"), anyRoom, fc.constant(1)) },
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom("sync", "sync", "lost"), anyRoom, fc.constant(1)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant("peek"), anyRoom, fc.constant(1)) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constantFrom("unpeek", "back", "restart", "fail", "join", "hide", "flood", "fill", "silent"),
      anyRoom,
      fc.constant(1),
    ),
  },
);

async function take(world: World, device: Device, what: string, room: RoomId, times: number): Promise<void> {
  switch (what) {
    case "say":
      for (let n = 0; n < times; n += 1) world.say(room);
      break;
    case "miss":
      for (let n = 0; n < times; n += 1) world.miss(room);
      break;
    case "cut":
    case "fork":
    case "ignored":
      for (let n = 0; n < times; n += 1) world.say(room, what);
      break;
    case "silent":
      world.isSilent = !world.isSilent;
      break;
    case "fill":
      world.graph.canFill = !world.graph.canFill;
      break;
    case "tell":
      world.say(room);
      world.show();
      world.deliver();
      await device.sync();
      break;
    case "show":
      world.show();
      break;
    case "flood":
      for (let n = 0; n < 250; n += 1) world.say(room);
      break;
    case "deliver":
      world.deliver();
      break;
    case "sync":
    case "lost":
      await device.sync(what === "lost");
      break;
    case "peek":
      world.peek(room);
      break;
    case "unpeek":
      world.end(room);
      break;
    case "back":
      world.comeBack(room);
      break;
    case "restart":
      world.restart();
      break;
    case "fail":
      world.failures = 2;
      break;
    case "join":
      if (!world.joins.includes(room)) world.joins.push(room);
      break;
    case "hide":
      world.say(room);
      world.hidden.add(room);
      break;
  }
}

describe("a device that syncs", () => {
  test("misses nothing, is told nothing twice, and of every end once, whatever happens", async () => {
    const steps = fc.array(step, { maxLength: 60, size: "max" });
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const world = new World();
        const device = new Device(world);
        for (const [what, room, times] of all) await take(world, device, what, room, times);
        world.failures = 0;
        world.show();
        world.deliver();
        // What a page leaves out for this user the next sync goes on after.
        for (let n = 0; n < 4; n += 1) await device.sync();

        expect(device.faults).toEqual([]);
        expect([...device.rooms.keys()].sort()).toEqual([...world.peeks.keys()].sort());
        for (const room of world.peeks.keys()) {
          expect([...(device.reachable.get(room) ?? [])]).toEqual(expect.arrayContaining(world.shownTo(room)));
        }
      }),
      { numRuns: 400 },
    );
  }, 60_000);

  test("is told a room from its end over what the homeserver missed, and not over what only this user is not shown", async () => {
    const world = new World();
    const device = new Device(world);
    const tell = async (manner?: "ignored"): Promise<number> => {
      world.say(ROOM, manner);
      world.say(ROOM);
      world.show();
      world.deliver();
      const before = world.beginnings;
      await device.sync();
      return world.beginnings - before;
    };
    world.peek(ROOM);
    await device.sync();
    expect([await tell(), await tell("ignored"), await tell("ignored")]).toEqual([0, 0, 0]);
    world.say(ROOM, "ignored");
    world.show();
    world.deliver();
    await device.sync();
    expect(await tell()).toBe(0);
    world.miss(ROOM);
    expect([await tell(), await tell()]).toEqual([1, 0]);
    expect(device.faults).toEqual([]);
  });

  test("is told once that a room is too large to be told, and asks for it no more", async () => {
    const world = new World();
    world.peek(ROOM);
    const tooLarge = new EmissaryError("refused-by-policy", "too large", { reason: "state-cap" });
    const parts = world.parts();
    const refused: RoomId[] = [];
    const rooms = { ...parts.rooms, beginning: () => Promise.reject(tooLarge) };
    const viewer = { device: "d", token: "t", filter: peekFilter({}), anew: false, gone: new AbortController().signal };
    const large = { ...parts, rooms, refused: (roomId: RoomId) => void refused.push(roomId) };
    const view = new PeekView(large, viewer, new Map());
    await view.look();
    expect([[...view.left], [...view.peek], refused, world.peeks.size]).toEqual([[ROOM], [], [ROOM], 0]);
    const next = new PeekView(large, viewer, view.places);
    await next.look();
    expect([[...next.left], refused]).toEqual([[], [ROOM]]);
  });

  test("is told a few large rooms at a time, in pieces, and what is wrong with one in the next answer", async () => {
    const world = new World();
    for (let n = 0; n < 6; n += 1) world.peek(`!large${n}:x` as RoomId);
    const parts = world.parts();
    let membership: string | null = null;
    let failure: EmissaryError | null = null;
    let dropped = 0;
    const rest: RoomRest = {
      async *state() {
        yield [{ type: "m.test", state_key: "", event_id: "$state" }];
        if (failure !== null) throw failure;
      },
      after: () => ({ membership, accountData: [{ type: "m.tag", content: {} }] }),
      drop: () => void (dropped += 1),
    };
    const rooms: ViewParts["rooms"] = {
      ...parts.rooms,
      beginning: async (...asked) => {
        const beginning = await parts.rooms.beginning(...asked);
        return beginning === "gone" ? beginning : { ...beginning, rest };
      },
    };
    const refusals = new Map<RoomId, EmissaryError>();
    const refused = (roomId: RoomId, error: EmissaryError): void => void refusals.set(roomId, error);
    const refusalOf = (roomId: RoomId): EmissaryError | null => refusals.get(roomId) ?? null;
    const viewer = { device: "d", token: "t", filter: peekFilter({}), anew: false, gone: new AbortController().signal };
    const viewAt = async (places: Places): Promise<PeekView> => {
      const view = new PeekView({ ...parts, rooms, refused, refusalOf }, viewer, places);
      await view.look();
      return view;
    };
    const read = async (view: PeekView): Promise<JsonObject[]> => {
      const told: JsonObject[] = [];
      for (const pieces of view.texts().values()) {
        let text = "";
        for await (const piece of pieces) text += piece;
        told.push(JSON.parse(text) as JsonObject);
      }
      return told;
    };

    const first = await viewAt(new Map());
    expect([first.peek.size, first.isWhole]).toEqual([4, false]);
    for (const told of await read(first)) {
      const state = { events: [{ type: "m.test", state_key: "", event_id: "$state" }] };
      expect(told).toMatchObject({ state, account_data: { events: [{ type: "m.tag" }] } });
    }
    const second = await viewAt(first.places);
    expect([...first.peek.keys(), ...second.peek.keys()].sort()).toEqual([...world.peeks.keys()].sort());
    for (const room of [...second.peek.keys()].slice(1)) second.scheduleRetry(room);
    expect([second.peek.size, dropped]).toEqual([1, 1]);

    // What is found out in the middle breaks the answer off, and the next one says it.
    failure = new EmissaryError("refused-by-policy", "too large", { reason: "state-cap" });
    await expect(read(second)).rejects.toBe(failure);
    const [tooLarge] = refusals.keys();
    failure = null;
    const next = await viewAt(first.places);
    expect([...next.left]).toEqual([tooLarge]);
    // Of who came in meanwhile the homeserver tells.
    membership = "join";
    const [joined] = next.peek.keys();
    await expect(read(next)).rejects.toMatchObject({ code: "bad-state" });
    expect([...first.peek.keys()].sort()).toEqual([...world.peeks.keys()].sort());
    expect(joined).toBeDefined();
  });

  test("asks for a room only where the journal says that something came", async () => {
    const world = new World();
    const device = new Device(world);
    world.say(ROOM);
    world.show();
    world.deliver();
    world.peek(ROOM);
    await device.sync();
    world.failures = 1;
    await device.sync();
    expect(world.failures).toBe(1);
  });
});

describe("a view that waits", () => {
  async function waiting(): Promise<{ world: World; view: PeekView; done: Promise<void> }> {
    const world = new World();
    world.peek(ROOM);
    const device = new Device(world);
    await device.sync();
    const filter = peekFilter({});
    const viewer = { device: "d", token: "t", filter, anew: false, gone: new AbortController().signal };
    const first = new PeekView(world.parts(), viewer, new Map());
    await first.look();
    const view = new PeekView(world.parts(), viewer, first.places);
    const done = view.watch(new AbortController().signal);
    await settle();
    return { world, view, done };
  }

  test("is over when something is there to tell", async () => {
    const { world, view, done } = await waiting();
    world.deliver();
    await settle();
    expect(view.isNews).toBe(false);
    world.say(ROOM);
    world.show();
    world.deliver();
    await done;
    expect([...view.peek.keys()]).toEqual([ROOM]);
  });

  test("is over when a peek ends", async () => {
    const { world, view, done } = await waiting();
    world.end(ROOM);
    await done;
    expect([...view.left]).toEqual([ROOM]);
  });

  test("looks a last time when it is told to stop", async () => {
    const { world, view } = await waiting();
    world.say(ROOM);
    world.show();
    world.deliver();
    const viewer = { device: "d", token: "t", filter: peekFilter({}), anew: false, gone: new AbortController().signal };
    const other = new PeekView(world.parts(), viewer, view.places);
    await other.watch(AbortSignal.abort());
    expect([...other.peek.keys()]).toEqual([ROOM]);
  });

  test("looks again for an event that the homeserver does not show yet, and once only", async () => {
    const { world, view, done } = await waiting();
    world.say(ROOM);
    world.deliver();
    await settle();
    expect(view.isNews).toBe(false);
    world.show();
    await world.clock.advance(500);
    await done;
    expect([...view.peek.keys()]).toEqual([ROOM]);
  });
});
