import { describe, expect, onTestFinished, test } from "vitest";
import {
  BATCH,
  cutOf,
  limitHistory,
  type HistoryStore,
  type JournalRow,
  type JournalState,
  type RetentionLimits,
} from "../../../src/ledger/retention.ts";
import { silent } from "../../support/attending.ts";
import { ManualClock, settle, START } from "../../support/clock.ts";

const LIMITS: RetentionLimits = {
  journalKeep: 1_000,
  journalMaxSize: 1_000,
  auditKeep: 5_000,
  memory: { events: 3, transactions: 2 },
};

/** Rows of one event and 100 bytes, each a millisecond after the one before. */
function journal(rows: number, from = 1): JournalRow[] {
  return Array.from({ length: rows }, (_, index) => ({
    firstSeq: from + index,
    events: 1,
    receivedAt: START + index,
    bytes: 100,
  }));
}

function cut(rows: readonly JournalRow[], state: Partial<JournalState> = {}, limits = LIMITS): number {
  const last = rows.at(-1);
  return cutOf(
    rows,
    {
      now: START,
      bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
      last: last === undefined ? 0 : last.firstSeq + last.events - 1,
      recentFrom: rows.at(-limits.memory.transactions)?.firstSeq ?? 0,
      lowestCursor: null,
      ...state,
    },
    limits,
  );
}

describe("where the journal is cut", () => {
  test("nowhere, while it is young and small, or empty", () => {
    expect(cut(journal(10))).toBe(0);
    expect(cut([])).toBe(0);
  });

  test("before the first row that is young enough", () => {
    expect(cut(journal(10), { now: START + 1_004 })).toBe(4);
  });

  test("where the rest is small enough", () => {
    expect(cut(journal(14))).toBe(4);
  });

  test("not above the lowest cursor, and a row that is read in part stays", () => {
    expect(cut(journal(20), { lowestCursor: 5 })).toBe(5);
    const inOne = [{ firstSeq: 1, events: 5, receivedAt: START - 9_000, bytes: 100 }, ...journal(10, 6)];
    expect(cut(inOne, { lowestCursor: 4 })).toBe(0);
    expect(cut(inOne, { lowestCursor: 5 })).toBe(5);
    expect(cut(journal(20), { lowestCursor: 0 })).toBe(0);
  });

  test("not in what the recorder reads back: so many events, and so many transactions", () => {
    const years = { now: START + 1e12 };
    expect(cut(journal(10), years)).toBe(7);
    const large = [5, 10, 15, 20].map((firstSeq) => ({ firstSeq, events: 5, receivedAt: START, bytes: 100 }));
    expect(cut(large, years)).toBe(14);
    expect(cut(journal(1), { ...years, recentFrom: 0 })).toBe(0);
    const few = { ...LIMITS, memory: { events: 1, transactions: 2 } };
    expect(cut(journal(10), years, few)).toBe(8);
  });

  test("in small pieces: so many rows, and so many bytes but one row at least", () => {
    expect(cut(journal(1_000), { now: START + 1e12 })).toBe(BATCH.rows);
    const huge = journal(10).map((row) => ({ ...row, bytes: BATCH.bytes }));
    expect(cut(huge, { now: START + 1e12 })).toBe(1);
  });

  test("at a row from the future the cut ends, however old those behind it are", () => {
    const rows = journal(10).map((row, index) => (index === 2 ? { ...row, receivedAt: START + 1e9 } : row));
    expect(cut(rows, { now: START + 2_000 })).toBe(2);
  });
});

describe("limiting what grows", () => {
  function limiting(rows: JournalRow[], limits = LIMITS) {
    const clock = new ManualClock();
    const abort = new AbortController();
    const audit = { left: 1_200, isBroken: false };
    const store: HistoryStore = {
      rows: async (after, limit) => {
        if (audit.isBroken) throw new Error("the disk is full");
        return rows.filter(({ firstSeq }) => firstSeq > after).slice(0, limit);
      },
      edges: async (nth) => ({
        last: rows.at(-1)?.firstSeq ?? 0,
        recentFrom: rows.at(-nth)?.firstSeq ?? 0,
        lowestCursor: null,
      }),
      trim: async (through) => rows.splice(0, rows.filter(({ firstSeq }) => firstSeq <= through).length),
      trimAudit: async (_before, limit) => {
        const gone = Math.min(limit, audit.left);
        audit.left -= gone;
        return gone;
      },
    };
    const done = limitHistory({ store, limits, clock, log: silent, abort: abort.signal });
    onTestFinished(async () => {
      abort.abort();
      await done;
    });
    return { clock, audit, abort, done };
  }

  test("goes on in short pauses until all is within the limits, and looks again every minute", async () => {
    const rows = journal(2_500);
    const { clock, audit } = limiting(rows);
    await clock.advance(1_000);
    expect(rows).toHaveLength(10);
    expect(audit.left).toBe(0);
    rows.push(...journal(5, 2_501));
    await clock.advance(30_000);
    expect(rows).toHaveLength(15);
    await clock.advance(31_000);
    expect(rows).toHaveLength(3);
  });

  test("a round that fails is made again", async () => {
    const rows = journal(100);
    const { clock, audit } = limiting(rows);
    audit.isBroken = true;
    await settle();
    rows.push(...journal(100, 101));
    audit.isBroken = false;
    await clock.advance(61_000);
    expect(rows).toHaveLength(3);
  });

  test("ends when it is told to", async () => {
    const { abort, done } = limiting(journal(5_000));
    await settle();
    abort.abort();
    await done;
  });
});
