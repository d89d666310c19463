/** One reading of the journal for all who read along: the newest from memory, what is older, and after a restart, from disk. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseTransaction } from "../../src/ledger/intake/parse.ts";
import type { Journal, JournalEntry } from "../../src/ledger/journal.ts";
import { Recorder } from "../../src/ledger/recorder.ts";
import { SharedJournal } from "../../src/ledger/shared-journal.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import { written } from "../../src/model/json.ts";
import { ManualClock, seededRandom } from "../support/clock.ts";
import { ALICE, incoming, message, OWN, ROOM, state } from "../support/events.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

/** A recorder and the journal that it tells, and how often that read from disk. */
async function scene(stores: Stores) {
  const asked = { disk: 0 };
  const disk: Pick<Journal, "read" | "bounds" | "without"> = {
    read: (after, limit) => {
      asked.disk += 1;
      return stores.journal.read(after, limit);
    },
    bounds: () => stores.journal.bounds(),
    without: (events) => stores.journal.without(events),
  };
  const journal = new SharedJournal(disk);
  const recorder = new Recorder(stores.ledger, OWN, new ManualClock(), seededRandom(1), (row) => journal.heard(row));
  await recorder.start();
  let count = 0;
  /** A transaction as the homeserver writes it. */
  const comes = async (body: string): Promise<void> => {
    const { events, setAside, plain, withTexts } = parseTransaction(Buffer.from(body));
    const verbatim = plain ? Buffer.from(body) : null;
    count += 1;
    await recorder.record({ txnId: `t${count}`, digest: body, events, setAside, verbatim, withTexts });
  };
  return { asked, journal, recorder, comes, says: (...events: RoomEvent[]) => comes(JSON.stringify({ events })) };
}

/** What a reader would pass on. */
const texts = (entries: readonly JournalEntry[]): readonly string[] =>
  entries.map(({ seq, event }) => `${seq} ${written(event)}`);

const redaction = (id: string, target: string): RoomEvent => ({
  ...message({ id }),
  type: "m.room.redaction",
  content: { redacts: `$${target}` },
  redacts: `$${target}`,
});

describe.each(DATABASES)("the journal for all on $name", ({ make }) => {
  test("gives who keeps up what the recorder had, and reads nothing from disk", async () => {
    const { asked, journal, says } = await scene(make().open());
    for (let nr = 1; nr <= 20; nr += 1) {
      await says(message({ id: `${nr}` }));
      for (let readers = 0; readers < 4; readers += 1) {
        expect((await journal.read(nr - 1, 100)).map(({ seq }) => seq)).toEqual([nr]);
        expect(await journal.read(nr, 100)).toEqual([]);
      }
    }
    expect((await journal.read(4, 7)).map(({ seq }) => seq)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(asked.disk).toBe(0);
  });

  test("keeps each event's text: numbers, and keys that stand twice", async () => {
    const stores = make().open();
    const { journal, comes } = await scene(stores);
    const event = `{"event_id":"$1","room_id":"${ROOM}","type":"m.room.message","sender":"${ALICE}","origin_server_ts":1,`;
    const odd = `${event}"content":{"body":"a","n":9007199254740993,"f":1.0,"x":1,"x":2}}`;
    await comes(`{"events":[${odd}]}`);
    await comes(`{"events":[7,${odd.replace("$1", "$2")}],"ephemeral":[{"type":"m.typing"}]}`);
    const entries = await journal.read(0, 100);
    expect(written(entries[0]?.event)).toBe(odd);
    expect(texts(entries)).toEqual(texts(await stores.journal.read(0, 100)));
  });

  test("does not give what was redacted, before it came or since, of whoever reads it when", async () => {
    const stores = make().open();
    const { asked, journal, says } = await scene(stores);
    await says(state("m.room.create", { room_version: "10" }, { id: "create" }));
    await says(message({ id: "a" }, "rude"), message({ id: "b" }, "kind"));
    expect(texts(await journal.read(1, 100)).join()).toContain("rude");
    await says(redaction("r1", "a"), redaction("r2", "c"));
    await says(message({ id: "c" }, "rude, too"));
    const seen = texts(await journal.read(0, 100));
    expect(seen.join()).not.toContain("rude");
    expect(seen.join()).toContain("kind");
    expect(seen).toEqual(texts(await stores.journal.read(0, 100)));
    expect(asked.disk).toBe(0);
  });

  test("holds so many events, and so many bytes: who is further behind reads from disk, and misses nothing", async () => {
    const stores = make().open();
    const { asked, journal, says } = await scene(stores);
    for (let nr = 0; nr < 60; nr += 1) {
      await says(...Array.from({ length: 10 }, (_, index) => message({ id: `${nr}-${index}` })));
    }
    expect((await journal.read(100, 100)).length).toBe(100);
    expect(asked.disk).toBe(0);
    expect((await journal.read(99, 100)).map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, i) => 100 + i));
    expect(asked.disk).toBe(1);
    await says(message({ id: "large" }, "x".repeat(3 * 1024 * 1024)));
    expect((await journal.read(600, 100)).map(({ seq }) => seq)).toEqual([601]);
    expect(asked.disk).toBe(2);
  });

  test("PROPERTY: whoever reads, when and however, gets what is on disk, in order and without a gap", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("come" as const), events: fc.integer({ min: 1, max: 150 }) }),
      fc.record({ do: fc.constant("late" as const), events: fc.integer({ min: 1, max: 250 }) }),
      fc.record({ do: fc.constant("redact" as const), target: fc.nat(400) }),
      fc.record({ do: fc.constant("large" as const) }),
      fc.record({ do: fc.constant("restart" as const) }),
      fc.record({ do: fc.constant("read" as const), reader: fc.nat(2), limit: fc.integer({ min: 1, max: 500 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const database = make();
        const stores = database.open();
        let here = await scene(stores);
        const places = [0, 0, 0];
        let made = 0;
        const some = (events: number, body = "hello"): RoomEvent[] =>
          Array.from({ length: events }, () => message({ id: `${(made += 1)}` }, body));
        const reads = async (reader: number, limit: number): Promise<number> => {
          const after = places[reader] ?? 0;
          const found = await here.journal.read(after, limit);
          const all = await stores.journal.read(after, found.length || 1);
          expect(texts(found)).toEqual(texts(all));
          expect(found.length).toBeLessThanOrEqual(limit);
          places[reader] = found.at(-1)?.seq ?? after;
          return found.length;
        };
        for (const one of steps) {
          if (one.do === "come") await here.says(...some(one.events));
          if (one.do === "late") await here.recorder.recordLate(ROOM, some(one.events));
          if (one.do === "redact")
            await here.recorder.record(incoming(`r${(made += 1)}`, [redaction(`${made}`, `${one.target}`)]));
          if (one.do === "large") await here.says(...some(3, "x".repeat(900_000)));
          if (one.do === "restart") here = await scene(stores);
          if (one.do === "read") await reads(one.reader, one.limit);
        }
        for (const reader of places.keys()) while ((await reads(reader, 100)) > 0);
        const { last } = await stores.journal.bounds();
        expect(places).toEqual([last, last, last]);
        database.remove();
      }),
      { numRuns: roundsOf(15), seed: seedOf(7) },
    );
  }, 60_000);
});
