/**
 * A tenant, or the proxy before it, that takes some transactions and never others: those that are too large for it, and those with
 * an event that it fails at. Everything else arrives, once and in order, and the event that stops the rest is named.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Outcome } from "../../../../src/tenants/delivery/outcome.ts";
import { LARGEST } from "../../../../src/tenants/delivery/piece.ts";
import {
  calm,
  Disk,
  eventIdsIn,
  FakeFeed,
  FakeTenant,
  makeCourier,
  REFUSED,
  SILENT,
  TAKEN,
  type Put,
} from "./world.ts";

const TOO_LARGE: Outcome = { ...REFUSED, blames: "size", sentence: "The tenant answers 413." };
const MINUTES = 60_000;

interface Bounds {
  /** Events that the tenant fails at. */
  readonly poison?: ReadonlySet<string>;
  /** How it fails. */
  readonly failure?: Outcome;
  /** Bytes of a transaction that it takes. */
  readonly most?: number;
}

function scene({ poison = new Set(), failure = REFUSED, most = Infinity }: Bounds) {
  const [feed, disk, tenant] = [new FakeFeed(), new Disk(), new FakeTenant()];
  const put = async (given: Put): Promise<Outcome> => {
    if (Buffer.byteLength(given.body) > most) return TOO_LARGE;
    if (eventIdsIn(given.body).some((id) => poison.has(id))) return failure;
    tenant.take(given);
    return TAKEN;
  };
  const make = () => makeCourier({ feed, disk, put });
  return { feed, disk, tenant, make };
}

/** Runs a courier for hours; where it is stuck then, skips that event as `tenant skip` does. Returns the events that were skipped. */
async function skipAll({ disk, make }: ReturnType<typeof scene>): Promise<string[]> {
  const skipped: string[] = [];
  for (;;) {
    const here = make();
    here.courier.start();
    for (let minute = 0; minute < 60 && here.state.stuck === null; minute += 1) {
      await calm();
      await here.clock.advance(MINUTES);
    }
    const { stuck } = here.state;
    await here.courier.stop();
    await here.commits.close();
    if (stuck === null) return skipped;
    expect(disk.at).toEqual({ ...disk.at, cursor: expect.any(Number) as number, pendingTo: stuck.seq });
    skipped.push(stuck.eventId);
    disk.at = { ...disk.at, cursor: stuck.seq, pendingTo: null };
  }
}

test("of 250 events one that the tenant fails at is found, and all the others arrive when it is skipped", async () => {
  const here = scene({ poison: new Set(["$137"]) });
  for (let left = 250; left > 0; left -= 1) here.feed.append(true);
  expect(await skipAll(here)).toEqual(["$137"]);
  expect(here.tenant.events).toEqual(here.feed.wanted.filter((id) => id !== "$137"));
});

test("a tenant that hangs at an event is told from one that is away: its event is found, after longer", async () => {
  const here = scene({ poison: new Set(["$3"]), failure: SILENT });
  for (let left = 5; left > 0; left -= 1) here.feed.append(true);
  expect(await skipAll(here)).toEqual(["$3"]);
  const away = scene({ poison: new Set(["$3"]), failure: { ...REFUSED, blames: "nothing" } });
  for (let left = 5; left > 0; left -= 1) away.feed.append(true);
  expect(await skipAll(away)).toEqual([]);
  expect(away.tenant.events).toEqual([]);
});

test("a transaction that is too large is halved at once, and no later one is tried at that size again", async () => {
  const here = scene({ most: 5_000 });
  for (let left = 300; left > 0; left -= 1) here.feed.append(true);
  const running = here.make();
  running.courier.start();
  for (let minute = 0; minute < 5; minute += 1) {
    await calm();
    await running.clock.advance(MINUTES);
  }
  expect(here.tenant.events).toEqual(here.feed.wanted);
  // 100 events, 50, 25: found once.
  expect(running.counts.failed).toBeLessThanOrEqual(3);
  await running.courier.stop();
});

test("a tenant never stands still for good: whatever it fails at and however small what it takes, the rest arrives once and in order", async () => {
  const world = fc.record({
    count: fc.integer({ min: 1, max: 230 }),
    poison: fc.uniqueArray(fc.integer({ min: 1, max: 230 }), { maxLength: 4 }),
    most: fc.constantFrom(900, 3_000, 20_000, Infinity),
    failure: fc.constantFrom(REFUSED, SILENT),
  });
  await fc.assert(
    fc.asyncProperty(world, async ({ count, poison, most, failure }) => {
      const ids = new Set(poison.filter((seq) => seq <= count).map((seq) => `$${seq}`));
      const here = scene({ poison: ids, most, failure });
      for (let left = count; left > 0; left -= 1) here.feed.append(true);
      expect(await skipAll(here)).toEqual(here.feed.wanted.filter((id) => ids.has(id)));
      expect(here.tenant.events).toEqual(here.feed.wanted.filter((id) => !ids.has(id)));
      for (const { body } of here.tenant.puts) expect(eventIdsIn(body).length).toBeLessThanOrEqual(LARGEST.events);
    }),
    { numRuns: 30 },
  );
});
