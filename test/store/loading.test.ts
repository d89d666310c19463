import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldEvent } from "../../src/ledger/fold.ts";
import type { LoadTicket } from "../../src/ledger/store/changes.ts";
import type { StateEvent } from "../../src/model/event.ts";
import type { UserId } from "../../src/model/ids.ts";
import { MEMBERSHIPS, type Membership } from "../../src/model/membership.ts";
import { START } from "../support/clock.ts";
import { ALICE, BOB, CAROL, member, OWN, recordOf, ROOM } from "../support/events.ts";
import { DATABASES, type Stores, type TestDatabase } from "../support/storage.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const OTHERS: readonly UserId[] = [ALICE, BOB, CAROL];

const aStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("change"),
      user: fc.constantFrom(...OTHERS),
      to: fc.constantFrom(...MEMBERSHIPS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("go"), to: fc.constantFrom("join", "leave", "kick") }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("deliver"), events: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose") }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("load") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash") }) },
);
type Step = typeof aStep extends fc.Arbitrary<infer Value> ? Value : never;

describe.each(DATABASES)("loading while events arrive, on $name", ({ make }) => {
  test("in whatever order the parts, the events and our own comings and goings mix, in the end the ledger has the homeserver's members", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 40 }), async (steps) => {
        const database = make();
        const world = new World(database);
        for (const step of steps) await world.take(step);
        await world.check();
        database.remove();
      }),
      { seed: seedOf(4), numRuns: roundsOf(60) },
    );
  });
});

/** One room of a homeserver, its events on their way, and a load of it that goes on piece by piece. */
class World {
  readonly #database: TestDatabase;
  #stores: Stores;
  /** The room's members as they are on the homeserver. */
  readonly #truth = new Map<UserId, StateEvent>();
  readonly #outbox: StateEvent[] = [];
  #load: { readonly ticket: LoadTicket; parts: (readonly StateEvent[])[] | null } | null = null;
  #hasLostOwn = false;
  #now = START;
  #events = 0;
  #transactions = 0;

  constructor(database: TestDatabase) {
    this.#database = database;
    this.#stores = database.open();
    for (const user of OTHERS) this.#set(user, "join");
    this.#set(OWN, "join");
  }

  async take(step: Step): Promise<void> {
    this.#now += 100;
    switch (step.do) {
      case "change":
        this.#set(step.user, step.to);
        break;
      case "go":
        this.#set(OWN, step.to === "kick" ? "leave" : step.to, step.to === "kick" ? ALICE : OWN);
        break;
      case "deliver":
        await this.#deliver(step.events);
        break;
      case "lose":
        this.#hasLostOwn ||= this.#outbox.shift()?.state_key === OWN;
        break;
      case "load":
        await this.#loadOn();
        break;
      case "wait":
        this.#now += 60_000;
        break;
      case "crash":
        this.#stores = this.#database.openAfterCrash();
        this.#load = null;
        break;
    }
  }

  /** Everybody does one thing more, so that whatever was lost comes to light; all is delivered and loaded. */
  async check(): Promise<void> {
    for (const user of OTHERS)
      this.#set(user, this.#truth.get(user)?.content["membership"] === "join" ? "leave" : "join");
    if (this.#hasLostOwn) this.#set(OWN, this.#isIn() ? "leave" : "join", this.#isIn() ? ALICE : OWN);
    await this.#deliver(Infinity);
    for (let round = 0; (await this.#stores.loads.nextDue()) !== null || this.#load !== null; round += 1) {
      expect(round, "loading does not come to an end").toBeLessThan(100);
      this.#now += 60_000;
      await this.#loadOn();
    }
    const isIn = this.#isIn();
    expect(await this.#stores.ledger.room(ROOM)).toMatchObject({
      load: isIn ? "loaded" : "none",
      ownMembership: this.#truth.get(OWN)?.content["membership"],
    });
    // Out of a room that we never knew ourselves to be in, what single events brought may stay.
    if (!isIn && this.#hasLostOwn) return;
    const expected = [...this.#truth].filter(([user]) => isIn || user === OWN);
    const members = await this.#stores.ledger.members(ROOM, { membership: null, after: null, limit: 100 });
    expect(new Map(members.map(({ userId, eventId }) => [userId, eventId]))).toEqual(
      new Map(expected.map(([user, { event_id }]) => [user, event_id])),
    );
    const joined = expected.filter(([, { content }]) => content["membership"] === "join").length;
    expect((await this.#stores.overview.line(ROOM))?.joined_members).toBe(joined);
  }

  #isIn(): boolean {
    return this.#truth.get(OWN)?.content["membership"] === "join";
  }

  #set(user: UserId, membership: Membership, sender = user): void {
    const before = this.#truth.get(user);
    // Joined again, we have a new name.
    if (user === OWN && membership === "leave" && before?.content["membership"] === "leave") return;
    this.#events += 1;
    const event = member(user, membership, { id: String(this.#events), sender, replaces: before?.event_id.slice(1) });
    this.#truth.set(user, event);
    // A homeserver sends us what happens in rooms that we are in, and what happens to us.
    if (user === OWN || this.#isIn()) this.#outbox.push(event);
  }

  async #deliver(limit: number): Promise<void> {
    for (let sent = 0; sent < limit && this.#outbox.length > 0; sent += 1) {
      this.#transactions += 1;
      this.#now += 1;
      const events = this.#outbox.splice(0, 1);
      await this.#stores.ledger.record(recordOf(String(this.#transactions), events, { receivedAt: this.#now }));
    }
  }

  /** The loader's next act: to begin, to ask the homeserver, to write a part, to finish. */
  async #loadOn(): Promise<void> {
    const { loads } = this.#stores;
    const load = this.#load;
    if (load === null) {
      const [due] = await loads.due(this.#now, 1);
      if (due?.drop === true) await loads.drop(ROOM, 2);
      else if (due !== undefined) this.#load = { ticket: await loads.begin(ROOM), parts: null };
      return;
    }
    if (load.parts === null) {
      const all = [...this.#truth.values()];
      if (this.#isIn()) load.parts = [all.slice(0, 2), all.slice(2)];
      else {
        await loads.postpone(ROOM, this.#now + 1_000);
        this.#load = null;
      }
      return;
    }
    const part = load.parts.shift();
    if (part === undefined) {
      await loads.finish(load.ticket, 1);
      this.#load = null;
    } else {
      const changes = part.flatMap((event) => foldEvent(event, OWN));
      await loads.part(load.ticket, changes, this.#now);
    }
  }
}
