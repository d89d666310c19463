import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { START } from "../support/clock.ts";
import { message, recordOf } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

/** Writes transactions of these sizes; the events are numbered from 1 over all of them. */
async function write(stores: Stores, sizes: readonly number[]): Promise<void> {
  const { last } = await stores.journal.bounds();
  let number = last;
  for (const [index, size] of sizes.entries()) {
    const events = Array.from({ length: size }, () => message({ id: String((number += 1)) }));
    await stores.ledger.record(recordOf(`t${last}-${index}`, events, { receivedAt: START + number }));
  }
}

describe.each(DATABASES)("the journal on $name", ({ make }) => {
  test("is empty at first", async () => {
    const { journal } = make().open();
    expect(await journal.bounds()).toEqual({ first: 0, last: 0 });
    expect(await journal.read(0, 10)).toEqual([]);
    expect(await journal.read(99, 10)).toEqual([]);
  });

  test("numbers events by one over all transactions, in the order received", async () => {
    const stores = make().open();
    await write(stores, [2, 1, 3]);
    expect(await stores.journal.bounds()).toEqual({ first: 1, last: 6 });
    const entries = await stores.journal.read(0, 100);
    expect(entries.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(entries.map(({ event }) => event.event_id)).toEqual(["$1", "$2", "$3", "$4", "$5", "$6"]);
    expect(entries.map(({ receivedAt }) => receivedAt - START)).toEqual([2, 2, 3, 6, 6, 6]);
    expect(entries[0]?.event).toEqual(message({ id: "1" }));
  });

  test("tells the number that a transaction's first event got", async () => {
    const { ledger } = make().open();
    expect(await ledger.record(recordOf("1", [message({ id: "1" }), message({ id: "2" })]))).toMatchObject({
      firstSeq: 1,
    });
    expect(await ledger.record(recordOf("2", [message({ id: "3" })]))).toMatchObject({ firstSeq: 3 });
  });

  test("a transaction of faulty things only takes no number", async () => {
    const stores = make().open();
    await stores.ledger.record(recordOf("1", [], { setAside: [{ fault: "not an object", json: "7" }] }));
    expect(await stores.journal.bounds()).toEqual({ first: 0, last: 0 });
    await write(stores, [1]);
    expect(await stores.journal.bounds()).toEqual({ first: 1, last: 1 });
  });

  test("goes on numbering after it was closed and opened", async () => {
    const database = make();
    const stores = database.open();
    await write(stores, [2]);
    const later = database.openAfterCrash();
    await write(later, [2]);
    expect((await later.journal.read(0, 100)).map(({ seq, event }) => [seq, event.event_id])).toEqual([
      [1, "$1"],
      [2, "$2"],
      [3, "$3"],
      [4, "$4"],
    ]);
  });

  test.each([
    { after: 0, limit: 1, gives: [1] },
    { after: 0, limit: 3, gives: [1, 2, 3] },
    { after: 0, limit: 4, gives: [1, 2, 3, 4] },
    { after: 1, limit: 1, gives: [2] },
    { after: 2, limit: 2, gives: [3, 4] },
    { after: 3, limit: 100, gives: [4, 5, 6, 7, 8, 9] },
    { after: 8, limit: 5, gives: [9] },
    { after: 9, limit: 5, gives: [] },
    { after: 1_000, limit: 5, gives: [] },
    { after: 0, limit: 0, gives: [] },
  ])(
    "of transactions of 3, 1 and 5 events, at most $limit after number $after are $gives",
    async ({ after, limit, gives }) => {
      const stores = make().open();
      await write(stores, [3, 1, 5]);
      expect((await stores.journal.read(after, limit)).map(({ seq }) => seq)).toEqual(gives);
    },
  );

  test("a reader with any limits reads every event once, in order", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 8 });
    const limits = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, limits, async (given, steps) => {
        const stores = make().open();
        await write(stores, given);
        const read: number[] = [];
        for (let round = 0; ; round += 1) {
          const limit = steps[round % steps.length]!;
          const entries = await stores.journal.read(await stores.journal.cursor("reader"), limit);
          if (entries.length === 0) break;
          expect(entries.length).toBeLessThanOrEqual(limit);
          read.push(...entries.map(({ seq }) => seq));
          for (const { seq, event } of entries) expect(event.event_id).toBe(`$${seq}`);
          await stores.journal.advance("reader", entries.at(-1)!.seq);
        }
        const total = given.reduce((sum, size) => sum + size, 0);
        expect(read).toEqual(Array.from({ length: total }, (_, index) => index + 1));
      }),
      { seed: seedOf(1), numRuns: roundsOf(30) },
    );
  });

  test("each consumer has a cursor of its own, which never moves back", async () => {
    const database = make();
    const { journal } = database.open();
    expect(await journal.cursor("delivery:telegram")).toBe(0);
    await journal.advance("delivery:telegram", 7);
    await journal.advance("delivery:telegram", 5);
    await journal.advance("index", 2);
    const later = database.openAfterCrash().journal;
    expect(await later.cursor("delivery:telegram")).toBe(7);
    expect(await later.cursor("index")).toBe(2);
  });

  describe("what a recorder remembers by after a start", () => {
    test("is the newest event IDs and transactions, oldest first", async () => {
      const stores = make().open();
      expect(await stores.ledger.recentEventIds(10)).toEqual([]);
      expect(await stores.ledger.recentTransactions(10)).toEqual([]);
      await write(stores, [3, 1, 5]);
      expect(await stores.ledger.recentEventIds(100)).toEqual(["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9"]);
      expect(await stores.ledger.recentEventIds(6)).toEqual(["$4", "$5", "$6", "$7", "$8", "$9"]);
      expect(await stores.ledger.recentEventIds(2)).toEqual(["$8", "$9"]);
      expect((await stores.ledger.recentTransactions(2)).map(({ txnId }) => txnId)).toEqual(["t0-1", "t0-2"]);
      expect(await stores.ledger.recentTransactions(1)).toEqual([
        {
          txnId: "t0-2",
          digest: recordOf(
            "t0-2",
            [5, 6, 7, 8, 9].map((id) => message({ id: String(id) })),
          ).digest,
        },
      ]);
    });
  });
});
