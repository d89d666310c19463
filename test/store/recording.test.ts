import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Recorder, type IncomingTransaction, type LedgerWriter } from "../../src/ledger/recorder.ts";
import type { TransactionRecord } from "../../src/ledger/store/ledger.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import { MEMBERSHIPS } from "../../src/model/membership.ts";
import { ManualClock, seededRandom } from "../support/clock.ts";
import { ALICE, BOB, CAROL, incoming, member, message, OTHER_ROOM, OWN, ROOM, state } from "../support/events.ts";
import { DATABASES, type Stores, type TestDatabase } from "../support/storage.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const clock = new ManualClock();
const NEVER = new AbortController().signal;

async function recorderOn(writer: LedgerWriter): Promise<Recorder> {
  const recorder = new Recorder(writer, OWN, clock, seededRandom(1));
  await recorder.start();
  return recorder;
}

async function journalled(stores: Stores): Promise<string[]> {
  return (await stores.journal.read(0, 100_000)).map(({ event }) => event.event_id);
}

/** Tells whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe.each(DATABASES)("recording on $name", ({ make }) => {
  test("a transaction sent again changes nothing, also after a restart", async () => {
    const database = make();
    const before = database.open();
    const sent = incoming("1", [message({ id: "a" }), message({ id: "b" })]);
    const first = await recorderOn(before.ledger);
    expect(first.isRepeated(sent.txnId, sent.digest)).toBe(false);
    expect(await first.record(sent)).toMatchObject({ repeated: false, fresh: 2, duplicates: 0 });
    expect(first.isRepeated(sent.txnId, sent.digest)).toBe(true);
    expect(await first.record(sent)).toMatchObject({ repeated: true, fresh: 0 });

    const after = database.openAfterCrash();
    const second = await recorderOn(after.ledger);
    expect(second.isRepeated(sent.txnId, sent.digest)).toBe(true);
    expect(await second.record(sent)).toMatchObject({ repeated: true });
    expect(await journalled(after)).toEqual(["$a", "$b"]);
  });

  test("a transaction that held nothing but faults is known after a restart too: its faults are kept once", async () => {
    const database = make();
    const sent = { ...incoming("1", []), setAside: [{ fault: "it has no type", json: "{}" }], verbatim: null };
    await (await recorderOn(database.open().ledger)).record(sent);
    const second = await recorderOn(database.openAfterCrash().ledger);
    expect(second.isRepeated(sent.txnId, sent.digest)).toBe(true);
    expect(await second.record(sent)).toMatchObject({ repeated: true, setAside: 0 });
  });

  // Synapse on SQLite counts its transactions from 1 again after every restart. Remembered by their ID alone, the first
  // transactions after a restart would have counted as repetitions, and their events been lost.
  test("a known transaction ID with other content is a new transaction", async () => {
    const stores = make().open();
    const recorder = await recorderOn(stores.ledger);
    await recorder.record(incoming("1", [message({ id: "a" })]));
    expect(await recorder.record(incoming("1", [message({ id: "b" })]))).toMatchObject({ repeated: false, fresh: 1 });
    expect(await journalled(stores)).toEqual(["$a", "$b"]);
  });

  test("events that came before in another transaction, or twice in one, are recorded once", async () => {
    const stores = make().open();
    const recorder = await recorderOn(stores.ledger);
    await recorder.record(incoming("1", [message({ id: "a" }), message({ id: "b" })]));
    const outcome = await recorder.record(
      incoming(
        "2",
        ["b", "c", "c", "d"].map((id) => message({ id })),
      ),
    );
    expect(outcome).toMatchObject({ fresh: 2, duplicates: 2 });
    expect(await journalled(stores)).toEqual(["$a", "$b", "$c", "$d"]);
  });

  test("a commit that fails is told, changes nothing, and the transaction is taken when it is sent again", async () => {
    const stores = make().open();
    let full = true;
    const recorder = await recorderOn({
      ...methodsOf(stores.ledger),
      record: async (transaction) => {
        if (full) throw new Error("the disk is full");
        return stores.ledger.record(transaction);
      },
    });
    const sent = incoming("1", [member(ALICE, "join", { id: "a" })]);
    await expect(recorder.record(sent)).rejects.toThrow("full");
    expect(recorder.isRepeated(sent.txnId, sent.digest)).toBe(false);
    full = false;
    expect(await recorder.record(sent)).toMatchObject({ fresh: 1 });
    expect(await stores.ledger.member(ROOM, ALICE)).toMatchObject({ membership: "join" });
  });

  test("transactions given at once are written one after the other, in the order given, whatever becomes of one", async () => {
    const stores = make().open();
    let commits = 0;
    let under = 0;
    const recorder = await recorderOn({
      ...methodsOf(stores.ledger),
      record: async (transaction) => {
        under += 1;
        expect(under).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        under -= 1;
        if (transaction.txnId === "3") throw new Error("this one fails");
        commits += 1;
        return stores.ledger.record(transaction);
      },
    });
    const outcomes = await Promise.allSettled(
      ["1", "2", "3", "4"].map((id) => recorder.record(incoming(id, [message({ id })]))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect(commits).toBe(3);
    expect(await journalled(stores)).toEqual(["$1", "$2", "$4"]);
  });

  test("things that are no events are kept aside, and their neighbours recorded", async () => {
    const stores = make().open();
    const recorder = await recorderOn(stores.ledger);
    const setAside = [{ fault: "not an object", json: "7" }];
    expect(await recorder.record({ ...incoming("1", [message({ id: "a" })]), setAside, verbatim: null })).toMatchObject(
      {
        fresh: 1,
        setAside: 1,
      },
    );
    expect(await recorder.record({ ...incoming("2", []), setAside, verbatim: null })).toMatchObject({
      fresh: 0,
      setAside: 1,
    });
    expect(await journalled(stores)).toEqual(["$a"]);
  });

  // JSON.parse reads nesting of any depth, JSON.stringify does not write it: one event of many brackets would make its whole
  // transaction fail, for ever, and with it everything that the homeserver has to say.
  test("an event nested too deeply to be written again does not hold up its neighbours", async () => {
    const stores = make().open();
    const recorder = await recorderOn(stores.ledger);
    const depth = 200_000;
    const deep = JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`) as [];
    const bomb: RoomEvent = { ...message({ id: "bomb" }), content: { deep } };
    const transaction = {
      txnId: "1",
      digest: "d",
      events: [message({ id: "a" }), bomb, message({ id: "b" })],
      setAside: [],
    };
    expect(await recorder.record({ ...transaction, verbatim: null })).toMatchObject({ fresh: 3 });
    expect(await journalled(stores)).toEqual(["$a", "$bomb", "$b"]);
  });

  describe("wakes", () => {
    test("journal readers after a commit that brought events, and not for a repetition", async () => {
      const recorder = await recorderOn(make().open().ledger);
      const woken = recorder.committed.next(NEVER);
      await recorder.record(incoming("1", [message({ id: "a" })]));
      expect(await isSettled(woken)).toBe(true);
      const again = recorder.committed.next(NEVER);
      await recorder.record(incoming("1", [message({ id: "a" })]));
      await recorder.record(incoming("2", []));
      await recorder.record(incoming("3", [message({ id: "a" })]));
      expect(await isSettled(again)).toBe(false);
    });

    test.each<[string, RoomEvent, boolean]>([
      ["our own membership", member(OWN, "join", { id: "1" }), true],
      ["a room's replacement", state("m.room.tombstone", { replacement_room: OTHER_ROOM }, { id: "1" }), true],
      ["another's membership", member(ALICE, "join", { id: "1" }), false],
      ["a message", message({ id: "1" }), false],
    ])("attendance for %s: %s", async (_what, event, wakes) => {
      const recorder = await recorderOn(make().open().ledger);
      const woken = recorder.ownChanged.next(NEVER);
      await recorder.record(incoming("1", [event]));
      expect(await isSettled(woken)).toBe(wakes);
    });

    test("attendance for our own membership that was asked for", async () => {
      const stores = make().open();
      const recorder = await recorderOn(stores.ledger);
      const woken = recorder.ownChanged.next(NEVER);
      await recorder.observe(async () => member(OWN, "join", { id: "1" }));
      expect(await isSettled(woken)).toBe(true);
      expect(await stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "join" });
    });
  });

  describe("what the homeserver is asked for", () => {
    test("and does not tell changes nothing", async () => {
      const stores = make().open();
      await (await recorderOn(stores.ledger)).observe(async () => null);
      expect(await stores.ledger.room(ROOM)).toBeNull();
    });

    test("is older than an event that comes while the answer is on its way", async () => {
      const stores = make().open();
      const recorder = await recorderOn(stores.ledger);
      await recorder.observe(async () => {
        const answer = member(OWN, "join", { id: "1" });
        await recorder.record(incoming("1", [answer, member(OWN, "leave", { id: "2", sender: ALICE })]));
        return answer;
      });
      expect(await stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave", ownMembershipEvent: "$2" });
    });

    test("is newer than an event that came before it was asked", async () => {
      const stores = make().open();
      const recorder = await recorderOn(stores.ledger);
      await recorder.record(incoming("1", [member(OWN, "join", { id: "1" })]));
      await recorder.observe(async () => member(OWN, "leave", { id: "2", sender: ALICE }));
      expect(await stores.ledger.room(ROOM)).toMatchObject({ ownMembership: "leave" });
    });
  });

  test("whatever is sent, repeated, and cut off: every event is journalled once, in order, and the ledger follows", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aSend, { maxLength: 14 }), async (sends) => {
        const database = make();
        const world = await World.begin(database);
        for (const send of sends) await world.send(send);
        await world.check();
        database.remove();
      }),
      { seed: seedOf(2), numRuns: roundsOf(40) },
    );
  });
});

/** The methods of a store, to put one's own before some. */
function methodsOf(writer: LedgerWriter): LedgerWriter {
  return {
    record: (transaction) => writer.record(transaction),
    observe: (changes, asOf, now) => writer.observe(changes, asOf, now),
    lastSeq: () => writer.lastSeq(),
    recentEventIds: (limit) => writer.recentEventIds(limit),
    recentTransactions: (limit) => writer.recentTransactions(limit),
  };
}

const USERS: readonly UserId[] = [ALICE, BOB, CAROL, OWN];
const ROOMS: readonly RoomId[] = [ROOM, OTHER_ROOM];

const anEvent = fc.record({
  room: fc.constantFrom(...ROOMS),
  what: fc.oneof(
    fc.record({ user: fc.constantFrom(...USERS), membership: fc.constantFrom(...MEMBERSHIPS) }),
    fc.record({ name: fc.constantFrom("Lobby", "Salon", "") }),
    fc.constant({ text: "hello" }),
  ),
});

/** One transaction of the homeserver, and what happens to us while we take it. */
const aSend = fc.record({
  fresh: fc.array(anEvent, { maxLength: 4 }),
  /** Earlier events that come along, by their place among all. */
  old: fc.array(fc.nat(), { maxLength: 3 }),
  /** The transaction is an earlier one, exactly; or has its number. */
  repeats: fc.option(fc.record({ which: fc.nat(), content: fc.constantFrom("same", "other") }), { freq: 3, nil: null }),
  verbatim: fc.boolean(),
  fault: fc.constantFrom(
    "none",
    "none",
    "commit fails",
    "crash before the commit",
    "crash after the commit",
    "restart",
  ),
});
type Send = typeof aSend extends fc.Arbitrary<infer Value> ? Value : never;

/** A homeserver that sends until it is answered, a program that dies, and what must be true in the end. */
class World {
  readonly #database: TestDatabase;
  #stores: Stores;
  #recorder: Recorder;
  #fault: Send["fault"] = "none";
  #made = 0;
  #transactions = 0;
  readonly #sent: IncomingTransaction[] = [];
  /** Every event, in the order in which it was first sent. */
  readonly #events: RoomEvent[] = [];

  private constructor(database: TestDatabase, stores: Stores, recorder: Recorder) {
    this.#database = database;
    this.#stores = stores;
    this.#recorder = recorder;
  }

  static async begin(database: TestDatabase): Promise<World> {
    const stores = database.open();
    const world = new World(database, stores, await recorderOn(stores.ledger));
    await world.#start();
    return world;
  }

  async send({ fresh, old, repeats, verbatim, fault }: Send): Promise<void> {
    if (fault === "restart") await this.#restart();
    const earlier =
      repeats === null || this.#sent.length === 0 ? undefined : this.#sent[repeats.which % this.#sent.length];
    let transaction = earlier;
    if (transaction === undefined || repeats?.content !== "same") {
      const again = this.#events.length === 0 ? [] : old.map((place) => this.#events[place % this.#events.length]!);
      const events = [...again.slice(0, 1), ...fresh.map((wish) => this.#make(wish)), ...again.slice(1)];
      this.#transactions += 1;
      transaction = {
        ...incoming(earlier?.txnId ?? String(this.#transactions), events),
        ...(verbatim ? {} : { verbatim: null }),
      };
    }
    this.#sent.push(transaction);
    for (const event of transaction.events) if (!this.#events.includes(event)) this.#events.push(event);

    this.#fault = fault;
    for (;;) {
      try {
        await this.#recorder.record(transaction);
        return;
      } catch {
        if (fault !== "commit fails") await this.#restart();
      }
    }
  }

  async check(): Promise<void> {
    const { ledger, journal } = this.#stores;
    const entries = await journal.read(0, 100_000);
    expect(entries.map(({ event }) => event)).toEqual(this.#events);
    expect(entries.map(({ seq }) => seq)).toEqual(this.#events.map((_, index) => index + 1));
    for (const room of ROOMS) {
      const members = await ledger.members(room, { membership: null, after: null, limit: 100 });
      expect(new Map(members.map(({ userId, membership, eventId }) => [userId, [membership, eventId]]))).toEqual(
        this.#expected(room, (event) =>
          event.type === "m.room.member"
            ? [event.state_key as UserId, [event.content["membership"], event.event_id]]
            : null,
        ),
      );
      const names = this.#expected(room, (event) =>
        event.type === "m.room.name" ? ["name", event.content["name"]] : null,
      );
      expect((await ledger.room(room))?.name ?? null).toBe(names.get("name") ?? null);
      expect((await ledger.room(room))?.ownMembership ?? null).toBe(
        members.find(({ userId }) => userId === OWN)?.membership ?? null,
      );
    }
  }

  /** The newest of what `read` takes from the events of a room. */
  #expected<Key, Value>(room: RoomId, read: (event: RoomEvent) => [Key, Value] | null): Map<Key, Value> {
    const facts = this.#events.filter((event) => event.room_id === room).map(read);
    return new Map(facts.filter((fact) => fact !== null));
  }

  #make({ room, what }: Send["fresh"][number]): RoomEvent {
    this.#made += 1;
    const wish = { id: String(this.#made), room };
    if ("user" in what) return member(what.user, what.membership, wish);
    if ("name" in what) return state("m.room.name", { name: what.name }, wish);
    return message(wish);
  }

  async #restart(): Promise<void> {
    this.#stores = this.#database.openAfterCrash();
    await this.#start();
  }

  async #start(): Promise<void> {
    const { ledger } = this.#stores;
    this.#recorder = await recorderOn({
      ...methodsOf(ledger),
      record: (transaction) => this.#commit(ledger, transaction),
    });
  }

  async #commit(ledger: LedgerWriter, transaction: TransactionRecord): ReturnType<LedgerWriter["record"]> {
    const fault = this.#fault;
    this.#fault = "none";
    if (fault === "commit fails" || fault === "crash before the commit") throw new Error(fault);
    const recorded = await ledger.record(transaction);
    if (fault === "crash after the commit") throw new Error(fault);
    return recorded;
  }
}
