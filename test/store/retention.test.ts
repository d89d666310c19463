import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RetentionLimits } from "../../src/ledger/cut.ts";
import { HistoryLimiter } from "../../src/ledger/retention.ts";
import type { AuditEntry } from "../../src/model/audit.ts";
import type { RoomId } from "../../src/model/ids.ts";
import { ManualClock } from "../support/clock.ts";
import { message, recordOf } from "../support/events.ts";
import { DATABASES } from "../support/storage.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const LIMITS: RetentionLimits = {
  journalKeep: 40_000,
  journalMaxSize: 6_000,
  auditKeep: 60_000,
  auditMaxSize: 1e9,
  memory: { events: 5, transactions: 3 },
};

interface ModelRow {
  readonly first: number;
  readonly last: number;
  readonly at: number;
  readonly bytes: number;
  readonly ids: readonly string[];
  readonly txnId: string;
}

/** What the journal has to hold, said as plainly as can be: all rows ever written, and what may go of them. */
class Model {
  rows: ModelRow[] = [];
  readonly cursors = new Map<string, number>();
  written: ModelRow[] = [];

  get last(): number {
    return this.written.at(-1)?.last ?? 0;
  }

  append(row: ModelRow): void {
    this.rows.push(row);
    this.written.push(row);
  }

  advance(consumer: string, seq: number): void {
    this.cursors.set(consumer, Math.max(seq, this.cursors.get(consumer) ?? 0));
  }

  limit(now: number): void {
    const unread = Math.min(Infinity, ...this.cursors.values());
    for (;;) {
      const [oldest] = this.rows;
      if (oldest === undefined) return;
      const size = this.rows.reduce((sum, { bytes }) => sum + bytes, 0);
      const isOver = now - oldest.at > LIMITS.journalKeep || size > LIMITS.journalMaxSize;
      const isUnread = oldest.last > unread;
      const isRecent = this.rows.length <= LIMITS.memory.transactions || oldest.last > this.last - LIMITS.memory.events;
      if (!isOver || isUnread || isRecent) return;
      this.rows.shift();
    }
  }
}

const anAct = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant("append" as const),
      events: fc.integer({ min: 1, max: 4 }),
      letters: fc.integer({ min: 0, max: 300 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("advance" as const),
      consumer: fc.constantFrom("a", "b"),
      read: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 9_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("crash" as const) }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant("limit" as const) }) },
);

async function apply(limiter: HistoryLimiter, now: number): Promise<void> {
  while ((await limiter.step(now)).isMore);
}

const entry: AuditEntry = { actor: "operator", action: "test", outcome: "done", roomId: null, detail: {} };

describe.each(DATABASES)("the history on $name", ({ make }) => {
  test("is cut to its limits and no further, whole rows, and never what somebody has yet to read", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anAct, { maxLength: 40, size: "max" }), async (acts) => {
        const database = make();
        let stores = database.open();
        let limiter = new HistoryLimiter(stores.history, LIMITS);
        const clock = new ManualClock();
        const model = new Model();
        for (const step of acts) {
          if (step.act === "append") {
            const txnId = String(model.written.length);
            const first = model.last + 1;
            const events = Array.from({ length: step.events }, (_, index) =>
              message({ id: `e${first + index}` }, "x".repeat(step.letters)),
            );
            const record = recordOf(txnId, events, { receivedAt: clock.now() });
            await stores.ledger.record(record);
            const bytes = record.body.length + JSON.stringify(record.eventIds).length;
            const last = first + step.events - 1;
            model.append({ first, last, at: clock.now(), bytes, ids: record.eventIds, txnId });
          } else if (step.act === "advance") {
            // One that comes later begins with what is still there.
            const gone = (model.rows[0]?.first ?? 1) - 1;
            const seq = Math.max(gone, Math.floor(step.read * model.last));
            model.advance(step.consumer, seq);
            await stores.journal.advance(step.consumer, seq);
          } else if (step.act === "pass") {
            await clock.advance(step.ms);
          } else if (step.act === "crash") {
            stores = database.openAfterCrash();
            limiter = new HistoryLimiter(stores.history, LIMITS);
          } else {
            model.limit(clock.now());
            await apply(limiter, clock.now());
          }
          const rows = await stores.history.rows(0, 1_000);
          expect(rows.map(({ firstSeq, bytes }) => [firstSeq, bytes])).toEqual(
            model.rows.map(({ first, bytes }) => [first, bytes]),
          );
        }
        // Whoever reads goes on without a gap, and the recorder finds what it knows repetitions by.
        for (const seq of model.cursors.values()) {
          const [next] = await stores.journal.read(seq, 1);
          expect(next?.seq).toBe(seq < model.last ? seq + 1 : undefined);
        }
        const { events, transactions } = LIMITS.memory;
        expect(await stores.ledger.recentEventIds(events)).toEqual(
          model.written.flatMap(({ ids }) => ids).slice(-events),
        );
        expect((await stores.ledger.recentTransactions(transactions)).map(({ txnId }) => txnId)).toEqual(
          model.written.slice(-transactions).map(({ txnId }) => txnId),
        );
        expect((await stores.journal.bounds()).last).toBe(model.last);
        database.remove();
      }),
      { seed: seedOf(20_260_101), numRuns: roundsOf(100) },
    );
  }, 60_000);

  test("a consumer that registers between the decision and the deed is heeded", async () => {
    const { ledger, journal, history } = make().open();
    for (let n = 1; n <= 6; n += 1) await ledger.record(recordOf(String(n), [message({ id: `e${n}` })]));
    await journal.advance("late", 2);
    expect((await history.trim(5)).map(({ firstSeq }) => firstSeq)).toEqual([1, 2]);
    expect(await journal.bounds()).toEqual({ first: 3, last: 6 });
  });

  test("tells what both hold, and who has yet to read", async () => {
    const { ledger, journal, history, audit } = make().open();
    expect(await history.extent()).toEqual({ journalOldestAt: null, auditFirst: 0, auditLast: 0, auditOldestAt: null });
    await journal.advance("early", 0);
    expect(await history.readers()).toEqual([]);

    // Three events in each, numbered 1 to 3, 4 to 6, 7 to 9.
    for (const n of [1, 2, 3]) {
      const events = [1, 2, 3].map((event) => message({ id: `e${n}-${event}` }));
      await ledger.record(recordOf(String(n), events, { receivedAt: n * 1_000 }));
    }
    for (const at of [50, 60, 70]) await audit.noteAll([entry], at);
    for (const [consumer, seq] of Object.entries({ "at-3": 3, "at-4": 4, all: 9 }))
      await journal.advance(consumer, seq);
    expect(await history.extent()).toEqual({ journalOldestAt: 1_000, auditFirst: 1, auditLast: 3, auditOldestAt: 50 });
    expect(await history.readers()).toEqual([
      { consumer: "early", seq: 0, unreadAt: 1_000, unreadRowEnd: 3 },
      { consumer: "at-3", seq: 3, unreadAt: 2_000, unreadRowEnd: 6 },
      { consumer: "at-4", seq: 4, unreadAt: 2_000, unreadRowEnd: 6 },
    ]);

    await journal.advance("early", 4);
    await history.trim(9);
    await journal.advance("late", 0);
    await history.trimAudit(55, 10);
    expect(await history.extent()).toEqual({ journalOldestAt: 2_000, auditFirst: 2, auditLast: 3, auditOldestAt: 60 });
    // Of what is gone nothing is to be had: the oldest that is left is the next to read.
    expect((await history.readers())[0]).toEqual({ consumer: "late", seq: 0, unreadAt: 2_000, unreadRowEnd: 6 });
  });

  test("the audit loses what is too old, in small pieces, and nothing else", async () => {
    const stores = make().open();
    const clock = new ManualClock();
    const old = clock.now() - LIMITS.auditKeep - 1_000;
    await stores.audit.noteAll(Array<AuditEntry>(1_234).fill(entry), old);
    await stores.audit.noteAll([entry, entry], clock.now());
    expect(await stores.history.trimAudit(clock.now() - LIMITS.auditKeep, 100)).toHaveLength(100);
    await apply(new HistoryLimiter(stores.history, LIMITS), clock.now());
    expect((await stores.audit.newest(null, 10)).map(({ id }) => id)).toEqual([1_236, 1_235]);
  });

  test("the audit is cut to its size, the oldest first, and of others' rows before the operator's", async () => {
    const row = fc.record({
      actor: fc.constantFrom("operator", "tenant:a", "tenant:b", "emissary"),
      letters: fc.integer({ min: 0, max: 200 }),
      isRoom: fc.boolean(),
    });
    const act = fc.oneof(
      { weight: 4, arbitrary: fc.array(row, { minLength: 1, maxLength: 12 }) },
      { weight: 2, arbitrary: fc.constant("limit" as const) },
      { weight: 1, arbitrary: fc.constant("crash" as const) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { maxLength: 30, size: "max" }),
        fc.integer({ min: 0, max: 6_000 }),
        async (acts, most) => {
          const database = make();
          let stores = database.open();
          const limits = { ...LIMITS, auditMaxSize: most };
          let limiter = new HistoryLimiter(stores.history, limits);
          let kept: AuditEntry[] = [];
          const isOperators = ({ actor }: AuditEntry): boolean => actor === "operator";
          const bytesOf = (entries: readonly AuditEntry[]): number =>
            entries.reduce(
              (sum, { actor, action, outcome, roomId, detail }) =>
                sum + 24 + [actor, action, outcome, roomId ?? "", JSON.stringify(detail)].join("").length,
              0,
            );
          const cut = (): void => {
            while (bytesOf(kept) > most) {
              const others = kept.filter((one) => !isOperators(one));
              const gone = bytesOf(others) > most / 2 ? others[0] : kept.find(isOperators);
              kept = kept.filter((one) => one !== gone);
            }
          };
          for (const step of acts) {
            if (step === "crash") {
              stores = database.openAfterCrash();
              limiter = new HistoryLimiter(stores.history, limits);
            } else if (step === "limit") {
              await apply(limiter, 1);
              cut();
              expect(limiter.auditBytes).toBe(bytesOf(kept));
              const extent = await stores.history.extent();
              expect(limiter.auditEntries(extent)).toBe(kept.length);
            } else {
              const entries = step.map(({ actor, letters, isRoom }): AuditEntry => {
                const roomId = isRoom ? ("!r:x.example" as RoomId) : null;
                return { actor, action: "test", outcome: "done", roomId, detail: { x: "x".repeat(letters) } };
              });
              await stores.audit.noteAll(entries, 1);
              kept.push(...entries);
            }
            const rows = (await stores.audit.newest(null, 1_000)).toReversed();
            expect(rows.map(({ actor, detail }) => [actor, detail])).toEqual(
              kept.map(({ actor, detail }) => [actor, detail]),
            );
          }
          database.remove();
        },
      ),
      { seed: seedOf(20_260_102), numRuns: roundsOf(30) },
    );
  }, 60_000);
});
