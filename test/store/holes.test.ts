/** What was said between two stays of the pseudouser is fetched when it comes back, or the room is marked. */
import { describe, expect, test } from "vitest";
import type { RoomEvent } from "../../src/model/event.ts";
import type { EventId, RoomId } from "../../src/model/ids.ts";
import { Holes } from "../../src/ledger/comparing/holes.ts";
import { silent } from "../support/attending.ts";
import { ManualClock } from "../support/clock.ts";
import { member, OWN, recordOf, ROOM } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const NEVER = new AbortController().signal;

async function live(stores: Stores, event: RoomEvent, now: number): Promise<void> {
  await stores.ledger.record(recordOf(event.event_id, [event], { receivedAt: now }));
}

/** Like Synapse: reading back from the end fetches some events of the newest hole. What is in `missing` lies between `$left` and `$back`. */
function homeserver(missing: number, gives: number, tells = true) {
  const clock = new ManualClock();
  const before = ["$a", "$b", "$own", "$left"];
  const between = Array.from({ length: missing }, (_, at) => `$m${at}`);
  const all = [...before, ...between, "$back", "$later"];
  const here = new Set([...before, "$back", "$later"]);
  const world = { clock, between, here, pages: 0, gives };
  const links = async (_room: RoomId, from: string | null, limit: number) => {
    world.pages += 1;
    const held = all.filter((id) => here.has(id));
    const to = from === null ? held.length : held.indexOf(from);
    const first = Math.max(0, to - limit);
    const page = held.slice(first, to).reverse();
    const lacking = between.filter((id) => !here.has(id));
    for (const id of lacking.slice(Math.max(0, lacking.length - world.gives))) here.add(id);
    const linkOf = (id: string) => {
      const previous = all[all.indexOf(id) - 1];
      return { id: id as EventId, previous: tells ? (previous === undefined ? [] : [previous as EventId]) : null };
    };
    return { links: page.map(linkOf), end: first === 0 ? null : (held[first] ?? null) };
  };
  return { ...world, world, links };
}

async function comeBack(stores: Stores, clock: ManualClock): Promise<void> {
  await live(stores, member(OWN, "join", { id: "own" }), clock.now());
  await live(stores, member(OWN, "leave", { id: "left" }), clock.now());
  await live(stores, member(OWN, "join", { id: "back" }), clock.now());
}

async function fill(stores: Stores, { clock, links }: ReturnType<typeof homeserver>, ms = 60_000): Promise<void> {
  const holes = new Holes({ store: stores.reconcile, queries: { links }, clock, log: silent });
  await holes.look(NEVER);
  const idle = holes.idle();
  for (let at = 0; at < 100; at += 1) await clock.advance(ms / 100);
  await idle;
}

const gapOf = async (stores: Stores) => (await stores.overview.line(ROOM))?.gap;

describe.each(DATABASES)("a hole between two stays, on $name", ({ make }) => {
  test("is not looked for in a first stay", async () => {
    const stores = make().open();
    const scene = homeserver(0, 0);
    await live(stores, member(OWN, "join", { id: "own" }), scene.clock.now());
    expect(await stores.reconcile.holes(scene.clock.now(), 10)).toEqual([]);
    expect(await gapOf(stores)).toBe("none");
  });

  test("of 300 events is closed by reading back until all that events hang on is there", async () => {
    const stores = make().open();
    const scene = homeserver(300, 100);
    await comeBack(stores, scene.clock);
    expect(await gapOf(stores)).toBe("filling");
    await fill(stores, scene);
    expect(scene.between.every((id) => scene.here.has(id))).toBe(true);
    expect(await gapOf(stores)).toBe("none");
    expect(await stores.reconcile.holes(scene.clock.now() + 1e9, 10)).toEqual([]);
  });

  test.each([true, false])(
    "that no server fills is tried again later, and then marked (the homeserver tells of links: %s)",
    async (tells) => {
      const stores = make().open();
      const scene = homeserver(50, 0, tells);
      await comeBack(stores, scene.clock);
      for (const pause of [60_000, 600_000, 3_600_000]) {
        await fill(stores, scene);
        expect(await gapOf(stores)).toBe(tells ? "filling" : "none");
        await scene.clock.advance(pause);
      }
      await fill(stores, scene);
      expect(await gapOf(stores)).toBe(tells ? "open" : "none");
    },
  );

  test("goes back to the first stay where the second ended before it was closed, and is filled in the third", async () => {
    const stores = make().open();
    const scene = homeserver(10, 0);
    await comeBack(stores, scene.clock);
    const [hole] = await stores.reconcile.holes(scene.clock.now(), 10);
    await scene.clock.advance(1);
    await live(stores, member(OWN, "leave", { id: "left2" }), scene.clock.now());
    expect([await gapOf(stores), await stores.reconcile.holes(1e15, 10)]).toEqual(["none", []]);
    await live(stores, member(OWN, "join", { id: "back2" }), scene.clock.now());
    await stores.reconcile.closed(hole!);
    expect(await stores.reconcile.holes(scene.clock.now(), 10)).toMatchObject([{ left: "$left", tries: 0 }]);
  });
});
