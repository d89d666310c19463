import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MOST_SLOW } from "../../src/concurrency/concurrency-limit.ts";
import type { RoomId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { FakeRooms, Program, PROMPT, type Manner } from "../support/attending.ts";
import { ManualClock, seededRandom, settle } from "../support/clock.ts";
import { NEW_ROOM, OTHER_ROOM, ROOM } from "../support/events.ts";
import { DATABASES, unhurried, type Stores, type TestDatabase } from "../support/storage.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const ROOMS: readonly RoomId[] = [ROOM, OTHER_ROOM, NEW_ROOM];
const HOLDERS: readonly Holder[] = [
  { kind: "tenant", name: "telegram" },
  { kind: "peek", name: "p" },
];
const CONCURRENCY = 2;
const MINUTE = 60_000;

const aRoom = fc.constantFrom(...ROOMS);
const aHolder = fc.constantFrom(...HOLDERS);

/** What may happen, in any order. */
const aStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("take"),
      room: aRoom,
      holder: aHolder,
      ttl: fc.constantFrom(null, 1_000, MINUTE),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("release"), room: aRoom, holder: aHolder }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("put out"), room: aRoom, by: fc.constantFrom("leave", "ban") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("let in again"), room: aRoom }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("deliver"), limit: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait"),
      ms: fc.constantFrom(0, 1, 700, 5_000, 11_000, MINUTE, 3 * MINUTE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart") }) },
);
type Step = typeof aStep extends fc.Arbitrary<infer Value> ? Value : never;

describe.each(DATABASES)("attendance over $name", ({ make }) => {
  test("whatever happens, in the end we are where somebody wants us and the homeserver lets us, and nowhere else", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 30 }), fc.nat(), async (steps, seed) => {
        const database = make();
        const world = new World(database, seed);
        await world.start();
        for (const step of steps) await world.take(step);
        await world.check();
        await world.end();
        database.remove();
      }),
      { seed: seedOf(3), numRuns: roundsOf(40) },
    );
  });
});

/** A homeserver in a bad mood, a program that dies, and what must be true once both have come to rest. */
class World {
  readonly #database: TestDatabase;
  readonly #clock = new ManualClock();
  readonly #rooms = new FakeRooms(this.#clock);
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #underWay: Promise<unknown>[] = [];
  #program: Program;

  constructor(database: TestDatabase, seed: number) {
    this.#database = database;
    this.#random = seededRandom(seed);
    this.#rooms.manner = () => this.#mood();
    this.#rooms.tells = () => (["yes", "yes", "nothing", "unreachable"] as const)[this.#dice(4)]!;
    this.#program = this.#open(database.open());
  }

  async start(): Promise<void> {
    await this.#program.start();
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      // Takers, releasers and the homeserver's transactions do not wait for each other.
      case "take":
        this.#meanwhile(this.#program.desk.take({ roomId: step.room, holder: step.holder, via: [], ttl: step.ttl }));
        break;
      case "release":
        this.#meanwhile(this.#program.desk.release(step.room, step.holder));
        break;
      case "put out":
        if (this.#rooms.membership(step.room) === "join") this.#rooms.put(step.room, step.by);
        break;
      case "let in again":
        if (this.#rooms.membership(step.room) === "ban") this.#rooms.put(step.room, "leave");
        break;
      case "deliver":
        this.#meanwhile(this.#rooms.deliver(this.#program.recorder, step.limit));
        break;
      case "wait":
        await this.#clock.advance(step.ms);
        break;
      case "restart":
        await this.#finish();
        await this.#program.stop();
        this.#program = this.#make(this.#program.stores);
        await this.#program.start();
        break;
      case "crash":
        await this.#finish();
        this.#program.die();
        this.#rooms.disconnect();
        this.#program = this.#open(this.#database.openAfterCrash());
        await this.#program.start();
        break;
    }
  }

  /** The homeserver is well again and sends what it has; time passes, and then nothing happens any more. */
  async check(): Promise<void> {
    await this.#finish();
    this.#rooms.manner = () => PROMPT;
    this.#rooms.tells = () => "yes";
    for (const minutes of [11, 2, 2]) {
      await this.#rooms.deliver(this.#program.recorder);
      await this.#clock.advance(minutes * MINUTE);
    }
    for (const room of ROOMS) {
      const wanted = (await this.#program.stores.leases.ofRoom(room)).length > 0;
      const membership = this.#rooms.membership(room);
      expect([room, membership === "join"]).toEqual([room, wanted]);
      expect((await this.#program.stores.ledger.room(room))?.ownMembership ?? null).toBe(membership);
    }
    expect(this.#rooms.most.inOneRoom).toBeLessThanOrEqual(1);
    // Slow ones are counted apart.
    expect(this.#rooms.most.inAll).toBeLessThanOrEqual(CONCURRENCY + MOST_SLOW);
    const before = this.#rooms.moves.length;
    await this.#clock.advance(5 * MINUTE);
    expect(this.#rooms.moves.slice(before)).toEqual([]);
  }

  async end(): Promise<void> {
    await this.#program.stop();
    await settle();
  }

  #meanwhile(deed: Promise<unknown>): void {
    this.#underWay.push(deed);
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#underWay.splice(0));
  }

  #open(stores: Stores): Program {
    return this.#make(unhurried(stores, () => this.#dice(4)));
  }

  #make(stores: Stores): Program {
    const options = { linger: MINUTE, concurrency: CONCURRENCY, joinTimeout: 2 * MINUTE };
    return new Program({ stores, rooms: this.#rooms, clock: this.#clock, random: this.#random, options });
  }

  #mood(): Manner {
    const takes = [0, 0, 300, 20_000, 3 * MINUTE][this.#dice(5)]!;
    const outcome = (["done", "done", "done", "lost", "retry", "refused"] as const)[this.#dice(6)]!;
    return { takes, outcome, retryAfter: this.#dice(2) === 0 ? null : 15_000 };
  }

  #dice(sides: number): number {
    return Math.floor(this.#random.fraction() * sides);
  }
}
