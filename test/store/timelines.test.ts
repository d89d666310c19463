/** What a homeserver loses on its way to us is read back: each event once, in its order, however much of it comes after all. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Recorder } from "../../src/ledger/recorder.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { EventId, RoomId } from "../../src/model/ids.ts";
import { StallDetector } from "../../src/ledger/comparing/delivery.ts";
import { Timelines } from "../../src/ledger/comparing/timelines.ts";
import { silent } from "../support/attending.ts";
import { ManualClock, seededRandom } from "../support/clock.ts";
import { ALICE, incoming, member, message, OTHER_ROOM, OWN, ROOM } from "../support/events.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const NEVER = new AbortController().signal;
/** As long as it takes until what is missing counts as lost. */
const LONG_MS = 60_000;

/** A homeserver with two rooms: what it holds to be sent, in one line, as Synapse does. */
class World {
  readonly clock = new ManualClock();
  readonly rooms = new Map<RoomId, RoomEvent[]>([
    [ROOM, []],
    [OTHER_ROOM, []],
  ]);
  held: RoomEvent[] = [];
  /** Events that a page has at most, and pages that were asked for. */
  page = 1_000;
  pages = 0;
  pings = 0;
  late = 0;
  #made = 0;
  #sent = 0;
  readonly #stores: Stores;
  recorder!: Recorder;
  timelines!: Timelines;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** As after a start. */
  async begin(stores: Stores = this.#stores): Promise<void> {
    const recorder = new Recorder(stores.ledger, OWN, this.clock, seededRandom(1));
    await recorder.start();
    const queries = {
      newestEvent: async (roomId: RoomId) => this.rooms.get(roomId)?.at(-1)?.event_id ?? null,
      ping: async () => {
        this.pings += 1;
        return null;
      },
      timeline: async (roomId: RoomId, from: string | null, limit: number) => {
        this.pages += 1;
        const all = this.rooms.get(roomId) ?? [];
        const to = from === null ? all.length : Number(from);
        const first = Math.max(0, to - Math.min(limit, this.page));
        return { events: all.slice(first, to).reverse(), end: first === 0 ? null : String(first) };
      },
    };
    const knows = (id: EventId): boolean => recorder.knows(id);
    const watch = new StallDetector({ queries, store: stores.reconcile, clock: this.clock, knows });
    const late = (events: number): void => void (this.late += events);
    const parts = { queries, store: stores.reconcile, recorder, watch, clock: this.clock, log: silent, late };
    this.recorder = recorder;
    this.timelines = new Timelines(parts);
  }

  happens(event: RoomEvent): RoomEvent {
    this.rooms.get(event.room_id)?.push(event);
    this.held.push(event);
    return event;
  }

  say(room = ROOM): RoomEvent {
    this.#made += 1;
    return this.happens(message({ id: `m${this.#made}`, room }));
  }

  async send(events = this.held.length): Promise<void> {
    const sent = this.held.splice(0, events);
    this.#sent += 1;
    if (sent.length > 0) await this.recorder.record(incoming(`t${this.#sent}`, sent));
  }

  lose(events = this.held.length): RoomEvent[] {
    return this.held.splice(0, events);
  }

  /** Both rooms are looked at, and time passes until what is missing is judged. */
  async look(): Promise<void> {
    for (const room of this.rooms.keys()) await this.timelines.look(room, NEVER);
    const idle = this.timelines.idle();
    for (let at = 0; at < 12; at += 1) await this.clock.advance(LONG_MS / 12);
    await idle;
  }

  /** IDs of a room's events in the journal, from our joining on. */
  async came(stores: Stores, room = ROOM): Promise<string[]> {
    const entries = await stores.journal.read(0, 100_000);
    return entries.filter(({ event }) => event.room_id === room).map(({ event }) => event.event_id);
  }

  said(room = ROOM): string[] {
    return (this.rooms.get(room) ?? []).map(({ event_id: id }) => id);
  }
}

async function scene(stores: Stores): Promise<World> {
  const world = new World(stores);
  await world.begin();
  for (const room of world.rooms.keys()) world.happens(member(OWN, "join", { id: `join-${room}`, room }));
  await world.send();
  return world;
}

describe.each(DATABASES)("events that the homeserver lost, on $name", ({ make }) => {
  test("are taken in where later ones of their room came, in their order, and counted", async () => {
    const stores = make().open();
    const world = await scene(stores);
    const before = world.say();
    await world.send();
    const lost = [world.say(), world.say(), world.say()];
    world.lose();
    const after = world.say();
    await world.send();
    await world.look();
    const order = [before, after, ...lost].map(({ event_id: id }) => id);
    expect(await world.came(stores)).toEqual([`$join-${ROOM}`, ...order]);
    expect([world.late, world.pings]).toEqual([3, 0]);
  });

  test("are taken in where nothing came after them, once the homeserver was asked for what it holds", async () => {
    const stores = make().open();
    const world = await scene(stores);
    for (let at = 0; at < 3; at += 1) world.say();
    world.lose();
    await world.look();
    expect(await world.came(stores)).toEqual(world.said());
    expect([world.late, world.pings]).toEqual([3, 1]);
  });

  test("are taken in where other rooms' events came after them, of which the newest are here", async () => {
    const stores = make().open();
    const world = await scene(stores);
    world.say();
    world.lose();
    const looking = world.look();
    await world.clock.advance(6_000);
    world.say(OTHER_ROOM);
    await world.send();
    await looking;
    expect(await world.came(stores)).toEqual(world.said());
  });

  test("are not double where they come after all, be it after a restart", async () => {
    const database = make();
    const stores = database.open();
    const world = await scene(stores);
    const events = [world.say(), world.say()];
    world.lose();
    await world.look();
    await world.recorder.record(incoming("again", events));
    const after = database.openAfterCrash();
    await world.begin(after);
    await world.recorder.record(incoming("and again", events));
    await world.look();
    expect(await world.came(after)).toEqual(world.said());
    expect(world.late).toBe(2);
  });

  test("are not those that are only on their way: these come in their order", async () => {
    const stores = make().open();
    const world = await scene(stores);
    for (let at = 0; at < 5; at += 1) world.say();
    await world.send(1);
    const looking = world.look();
    for (let at = 0; at < 4; at += 1) {
      await world.clock.advance(4_000);
      await world.send(1);
    }
    await looking;
    expect(await world.came(stores)).toEqual(world.said());
    expect(world.late).toBe(0);
  });

  test("have the room asked for anew where they were state, and change nothing by themselves: something newer may be known", async () => {
    const stores = make().open();
    const world = await scene(stores);
    const ticket = await stores.loads.begin(ROOM);
    await stores.loads.finish(ticket, 1);
    world.happens(member(ALICE, "join", { id: "a1" }));
    world.lose();
    world.happens(member(ALICE, "leave", { id: "a2" }));
    await world.send();
    expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "loaded" });
    await world.look();
    expect(world.late).toBe(1);
    expect(await stores.ledger.member(ROOM, ALICE)).toMatchObject({ membership: "leave", eventId: "$a2" });
    expect(await stores.ledger.room(ROOM)).toMatchObject({ load: "wanted" });
  });

  test("are read back over many pages, and not beyond the bound", async () => {
    const stores = make().open();
    const world = await scene(stores);
    for (let at = 0; at < 1_200; at += 1) world.say();
    world.lose();
    await world.look();
    expect(world.late).toBe(1_000);
    expect((await world.came(stores)).slice(1)).toEqual(world.said().slice(-1_000));
    const { pages } = world;
    await world.look();
    expect([world.late, world.pages - pages]).toEqual([1_000, 2]);
  });

  test("are none in a room that was never compared: what came of it is forgotten perhaps", async () => {
    const stores = make().open();
    const world = await scene(stores);
    world.say();
    world.lose();
    await stores.reconcile.compared(ROOM, null, 2, world.clock.now());
    await world.look();
    expect(world.late).toBe(0);
    world.say();
    world.lose();
    await world.look();
    expect(world.late).toBe(1);
  });

  test("before a stay are not looked for, and the room that was compared longest ago comes first", async () => {
    const stores = make().open();
    const world = await scene(stores);
    world.happens(member(OWN, "leave", { id: "left" }));
    world.happens(member(OWN, "join", { id: "back" }));
    const back = world.held.splice(1);
    await world.send();
    world.rooms.get(ROOM)?.splice(-1, 0, message({ id: "meanwhile" }));
    world.held = back;
    await world.send();
    await world.look();
    expect(world.late).toBe(0);
    await world.clock.advance(1);
    await world.timelines.look(OTHER_ROOM, NEVER);
    expect(await stores.reconcile.toCompare(world.clock.now() + 1)).toMatchObject({ roomId: ROOM, upTo: "$back" });
    expect(await stores.reconcile.toCompare(0)).toBeNull();
  });

  const anyStep = fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant("say" as const), room: fc.constantFrom(ROOM, OTHER_ROOM) }) },
    { weight: 4, arbitrary: fc.record({ what: fc.constant("send" as const), events: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant("lose" as const), events: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 2, arbitrary: fc.constant({ what: "look" as const }) },
    { weight: 1, arbitrary: fc.constant({ what: "crash" as const }) },
  );

  test("all come in the end, each once, and what was late in its order, whatever is lost when", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), async (steps, page) => {
        const database = make();
        let stores = database.open();
        const world = await scene(stores);
        world.page = page;
        const lost = new Set<string>();
        for (const step of steps) {
          if (step.what === "say") world.say(step.room);
          else if (step.what === "send") await world.send(step.events);
          else if (step.what === "lose") for (const { event_id: id } of world.lose(step.events)) lost.add(id);
          else if (step.what === "look") await world.look();
          else {
            stores = database.openAfterCrash();
            await world.begin(stores);
          }
        }
        await world.send();
        await world.look();
        await world.look();
        for (const room of world.rooms.keys()) {
          const came = await world.came(stores, room);
          expect(came.toSorted()).toEqual(world.said(room).toSorted());
          const ofLost = (ids: string[]) => ids.filter((id) => lost.has(id));
          expect(ofLost(came)).toEqual(ofLost(world.said(room)));
        }
        database.remove();
      }),
      { numRuns: roundsOf(15), seed: seedOf(14) },
    );
  });
});
