/**
 * Whatever tombstones, invites, kicks and crashes come in whatever order: nobody has a lease in a room for which it did not ask, unless the
 * room and one where it had a lease name each other, and policy lets it in there.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { compileExpression } from "../../src/platform/expressions.ts";
import { Tenants } from "../../src/policy/tenants.ts";
import type { PolicyRule } from "../../src/policy/rule.ts";
import { ManualClock, seededRandom, settle } from "../support/clock.ts";
import { OWN } from "../support/events.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { DATABASES, type Stores, type TestDatabase } from "../support/storage.ts";
import { tenant } from "../support/tenants.ts";
import { Town, TownProgram, type TownRoom } from "../support/upgrading.ts";

const ROOMS = ["!a:one.example", "!b:one.example", "!c:two.example", "!version12"] as RoomId[];
const DENIED: RoomId = ROOMS[2]!;
const HOLDERS: readonly Holder[] = [
  { kind: "tenant", name: "named" },
  { kind: "tenant", name: "any" },
  { kind: "operator", name: "operator" },
  { kind: "peek", name: "p" },
];
const READ = { actions: ["read"], types: null, source: "operator" } as const;
/** One tenant is let into the first room by name, the other into public rooms only. */
const GRANTS: Readonly<Record<string, readonly string[]>> = { named: [ROOMS[0]!], any: ["*"] };
const RULE = { kind: "room", verdict: "deny", hashed: false, reason: null, source: "operator" } as const;
const RULES: readonly PolicyRule[] = [{ ...RULE, entity: DENIED }];

const aRoom = fc.constantFrom(...ROOMS);
const aStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("bury"), room: aRoom, by: aRoom }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("upgrade"), room: aRoom }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unbury"), room: aRoom }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("take"), room: aRoom, holder: fc.constantFrom(...HOLDERS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("put"), room: aRoom, to: fc.constantFrom("invite", "leave") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait"), ms: fc.constantFrom(600, 20_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash") }) },
);
type Step = typeof aStep extends fc.Arbitrary<infer Value> ? Value : never;

const aTown = fc.tuple(
  ...ROOMS.map(() =>
    fc.record({ predecessor: fc.option(aRoom, { freq: 6 }), isOpen: fc.constantFrom(true, true, true, false) }),
  ),
) as fc.Arbitrary<TownRoom[]>;

const counted = { moved: 0 };

describe.each(DATABASES)("upgrades over $name", ({ make }) => {
  test("bring nobody anywhere by somebody else's word", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(aTown, fc.array(aStep, { minLength: 10, maxLength: 30 }), async (town, steps) => {
        const database = make();
        const world = await World.open(database, town);
        for (const holder of HOLDERS) await world.take({ do: "take", room: ROOMS[0]!, holder });
        await world.take({ do: "wait", ms: 600 });
        for (const step of steps) await world.take(step);
        await world.take({ do: "wait", ms: 60_000 });
        await world.end();
        database.remove();
      }),
      { seed: seedOf(11), numRuns: roundsOf(25) },
    );
    // A property that never saw a lease move would say nothing.
    expect(counted.moved).toBeGreaterThan(0);
  });
});

test.each(DATABASES)("a genuine one brings a lease along, over $name", async ({ make }) => {
  const places = ROOMS.map((_, nr) => ({ predecessor: nr === 1 ? ROOMS[0]! : null, isOpen: true }));
  const world = await World.open(make(), places);
  await world.take({ do: "take", room: ROOMS[0]!, holder: HOLDERS[0]! });
  await world.take({ do: "wait", ms: 60_000 });
  await world.take({ do: "upgrade", room: ROOMS[1]! });
  await world.take({ do: "wait", ms: 20_000 });
  await world.take({ do: "wait", ms: 60_000 });
  expect(await world.holdersIn(ROOMS[1]!)).toContain("named");
  await world.end();
});

class World {
  readonly #database: TestDatabase;
  readonly #clock = new ManualClock();
  readonly #town: Town;
  /** What was asked for in so many words: holder and room. */
  readonly #asked = new Set<string>();
  #stores: Stores;
  #program!: TownProgram;

  private constructor(database: TestDatabase, places: readonly TownRoom[]) {
    this.#database = database;
    this.#stores = database.open();
    this.#town = new Town(this.#clock, new Map(ROOMS.map((roomId, nr) => [roomId, places[nr]!])));
  }

  static async open(database: TestDatabase, places: readonly TownRoom[]): Promise<World> {
    const world = new World(database, places);
    for (const [id, rooms] of Object.entries(GRANTS)) {
      const sender = `@_emissary_${id}:ours.example` as UserId;
      const stored = tenant(id, { sender, grants: [{ ...READ, rooms }] });
      await world.#stores.tenants.add({ tenant: stored, tokenHash: id, hsSalt: "" }, 1);
    }
    await world.#begin();
    return world;
  }

  async take(step: Partial<Record<string, unknown>> & Pick<Step, "do">): Promise<void> {
    await this.#do(step as Step);
    await this.#town.deliver(this.#program.program.recorder);
    await settle();
    await this.#check();
  }

  async holdersIn(roomId: RoomId): Promise<string[]> {
    return (await this.#stores.leases.ofRoom(roomId)).map(({ holder }) => holder.name);
  }

  async end(): Promise<void> {
    await this.#program.stop();
  }

  async #do(step: Step): Promise<void> {
    switch (step.do) {
      case "bury":
        return this.#program.hears(this.#town.bury(step.room, step.by)!);
      case "upgrade": {
        const { predecessor } = this.#town.places.get(step.room)!;
        return predecessor === null ? undefined : this.#program.hears(this.#town.bury(predecessor, step.room)!);
      }
      case "unbury":
        this.#town.bury(step.room, null);
        return;
      case "take":
        this.#asked.add(textOf(step.holder, step.room));
        await this.#program.program.desk
          .take({ roomId: step.room, holder: step.holder, via: [], ttl: null })
          .catch(() => undefined);
        return;
      case "put":
        this.#town.put(step.room, step.to);
        return;
      case "wait":
        return this.#clock.advance(step.ms);
      case "crash":
        this.#program.die();
        this.#town.disconnect();
        this.#stores = this.#database.openAfterCrash();
        return this.#begin();
    }
  }

  async #begin(): Promise<void> {
    const clock = this.#clock;
    const server = "ours.example" as never;
    const random = seededRandom(1);
    const parts = { store: this.#stores.tenants, own: OWN, server, secret: "s", compile: compileExpression };
    const tenants = new Tenants({ ...parts, clock, random });
    await tenants.start();
    this.#program = new TownProgram({ stores: this.#stores, town: this.#town, clock, tenants, rules: RULES });
    await this.#program.start();
  }

  async #check(): Promise<void> {
    for (const roomId of ROOMS) {
      for (const { holder, upgrades } of await this.#stores.leases.ofRoom(roomId)) {
        if (holder.kind === "upgrade") continue;
        if (upgrades === 0) {
          expect(this.#asked).toContain(textOf(holder, roomId));
          continue;
        }
        counted.moved += 1;
        const { predecessor, isOpen } = this.#town.places.get(roomId)!;
        expect(predecessor).not.toBeNull();
        expect(this.#town.named).toContain(`${predecessor!} ${roomId}`);
        expect(roomId).not.toBe(DENIED);
        if (!isOpen) {
          expect(holder.kind === "operator" || (await this.#isNamed(holder.name, roomId)), textOf(holder, roomId)).toBe(
            true,
          );
        }
      }
    }
  }

  /** By a grant that the operator made, or one that followed from it. */
  async #isNamed(id: string, roomId: RoomId): Promise<boolean> {
    const found = (await this.#stores.tenants.all()).find((stored) => stored.tenant.id === id);
    const grants = found?.tenant.grants ?? [];
    return id === "named" && grants.some(({ rooms }) => rooms.includes(roomId));
  }
}

function textOf({ kind, name }: Holder, roomId: RoomId): string {
  return `${kind}:${name} ${roomId}`;
}
