import fc from "fast-check";
import { expect, test } from "vitest";
import type { Place, Step } from "../../../../src/tenants/store/deliveries.ts";
import type { Outcome } from "../../../../src/tenants/delivery/outcome.ts";
import { ManualClock } from "../../../support/clock.ts";
import { calm, Disk, FakeFeed, FakeTenant, makeCourier, REFUSED, SILENT, TAKEN, type Put } from "./world.ts";

/** What goes wrong at the next opportunity. */
const MISHAPS = [
  "refused",
  "answer-lost",
  "killed-before-it-arrives",
  "killed-after-it-arrived",
  "killed-before-a-commit",
  "killed-after-a-commit",
  "commit-fails",
] as const;
type Mishap = (typeof MISHAPS)[number];

type Deed =
  | { readonly kind: "events"; readonly concerns: readonly boolean[] }
  | { readonly kind: "mishap"; readonly mishap: Mishap }
  | { readonly kind: "kill" }
  | { readonly kind: "time"; readonly ms: number };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("events" as const),
      concerns: fc.array(fc.boolean(), { minLength: 1, maxLength: 160 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("mishap" as const), mishap: fc.constantFrom(...MISHAPS) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "kill" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("time" as const), ms: fc.constantFrom(10, 100, 2_000, 90_000) }),
  },
);

const forever = new Promise<never>(() => undefined);

/** One life of the program after the other over the same disk, in front of the same tenant. */
class World {
  readonly feed = new FakeFeed();
  readonly disk = new Disk();
  readonly tenant = new FakeTenant();
  readonly clock = new ManualClock();
  mishaps: Mishap[] = [];
  #life = 0;
  #running: ReturnType<typeof makeCourier> | null = null;

  async live(): Promise<void> {
    if (this.#running === null) {
      this.#running = this.#begin();
      this.#running.courier.start();
    }
    this.#running.courier.stir();
    await calm();
  }

  /** As by kill -9: whatever the program was about to do, it does not do. */
  kill(): void {
    this.#life += 1;
    this.#running = null;
  }

  async end(): Promise<void> {
    await this.#running?.courier.stop();
    await this.#running?.commits.close();
  }

  #begin(): ReturnType<typeof makeCourier> {
    const life = this.#life;
    const isOver = (): boolean => life !== this.#life;
    const disk = {
      place: async (): Promise<Place> => (isOver() ? forever : this.disk.place()),
      write: async (steps: readonly Step[]): Promise<void> => {
        if (isOver()) return forever;
        const mishap = this.#take("killed-before-a-commit", "killed-after-a-commit", "commit-fails");
        if (mishap === "commit-fails") throw new Error("the disk is full");
        if (mishap !== "killed-before-a-commit") await this.disk.write(steps);
        if (mishap === null) return;
        this.kill();
        return forever;
      },
    };
    const put = async (given: Put): Promise<Outcome> => {
      if (isOver()) return forever;
      const mishap = this.#take("refused", "answer-lost", "killed-before-it-arrives", "killed-after-it-arrived");
      if (mishap === "refused") return REFUSED;
      if (mishap !== "killed-before-it-arrives") this.tenant.take(given);
      if (mishap === "answer-lost") return SILENT;
      if (mishap === null) return TAKEN;
      this.kill();
      return forever;
    };
    return makeCourier({ feed: this.feed, disk, put, clock: this.clock, seed: life + 1, opening: `life-${life}` });
  }

  /** The next mishap, where it is one that can happen here. */
  #take(...here: readonly Mishap[]): Mishap | null {
    const [next] = this.mishaps;
    if (next === undefined || !here.includes(next)) return null;
    this.mishaps.shift();
    return next;
  }
}

test("whatever fails and whenever the program is killed, a tenant that knows transactions by their IDs has each event once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 1, maxLength: 40 }), async (deeds) => {
      const world = new World();
      for (const done of deeds) {
        if (done.kind === "events") for (const concerns of done.concerns) world.feed.append(concerns);
        if (done.kind === "mishap") world.mishaps.push(done.mishap);
        if (done.kind === "kill") world.kill();
        await world.live();
        if (done.kind === "time") await world.clock.advance(done.ms);
      }
      world.mishaps = [];
      await world.live();
      await world.clock.advance(120_000);
      await world.live();
      // Nothing is lost, nothing comes in two transactions, and the order is the journal's.
      expect(world.tenant.events).toEqual(world.feed.wanted);
      await world.clock.advance(20_000);
      expect(world.disk.at).toMatchObject({ epoch: 1, cursor: world.feed.last, pendingTo: null });
      await world.end();
    }),
    { numRuns: 150 },
  );
}, 60_000);
