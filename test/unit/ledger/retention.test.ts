import { describe, expect, onTestFinished, test } from "vitest";
import {
  BATCH,
  cutOf,
  laggingConsumersOf,
  type JournalRow,
  type JournalState,
  type Reader,
  type RetentionLimits,
} from "../../../src/ledger/cut.ts";
import { oldHistory } from "../../../src/ledger/cleaning.ts";
import { HistoryLimiter, type HistoryStore } from "../../../src/ledger/retention.ts";
import type { LogFields, Logger } from "../../../src/model/logger.ts";
import { workUntil } from "../../../src/concurrency/worker.ts";
import { ManualClock, settle, START } from "../../support/clock.ts";

const LIMITS: RetentionLimits = {
  journalKeep: 1_000,
  journalMaxSize: 1_000,
  auditKeep: 5_000,
  auditMaxSize: 1e9,
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

function stateOf(rows: readonly JournalRow[], state: Partial<JournalState>, limits = LIMITS): JournalState {
  const last = rows.at(-1);
  return {
    now: START,
    bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
    last: last === undefined ? 0 : last.firstSeq + last.events - 1,
    recentFrom: rows.at(-limits.memory.transactions)?.firstSeq ?? 0,
    lowestCursor: null,
    ...state,
  };
}

function cut(rows: readonly JournalRow[], state: Partial<JournalState> = {}, limits = LIMITS): number {
  return cutOf(rows, stateOf(rows, state, limits), limits);
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

describe("who keeps more of the journal than its limits would", () => {
  /** The laggingConsumers among readers that have read so far; rows come as in `journal`. */
  function laggingConsumers(
    rows: readonly JournalRow[],
    cursors: readonly number[],
    state: Partial<JournalState> = {},
  ) {
    const readers = cursors.map((seq): Reader => ({
      consumer: `c${seq}`,
      seq,
      unreadAt: START + seq,
      unreadRowEnd: seq + 1,
    }));
    const lowestCursor = Math.min(...cursors);
    return laggingConsumersOf(readers, rows, stateOf(rows, { lowestCursor, ...state }), LIMITS);
  }
  const names = (of: ReturnType<typeof laggingConsumers>): string[] => of.map(({ consumer }) => consumer);

  test("nobody, while the journal is young and small", () => {
    expect(laggingConsumers(journal(10), [0, 5])).toEqual([]);
  });

  test("everybody whose next event is too old, with how far behind it is", () => {
    expect(laggingConsumers(journal(10), [1, 3, 4], { now: START + 1_004 })).toEqual([
      { consumer: "c1", seq: 1, behind: 9, since: START + 1 },
      { consumer: "c3", seq: 3, behind: 7, since: START + 3 },
    ]);
    const many = journal(10_000);
    expect(names(laggingConsumers(many, [0, 9_000, 9_500], { now: START + 10_001 }))).toEqual(["c0", "c9000"]);
  });

  test("who is in the way of the journal's size", () => {
    expect(names(laggingConsumers(journal(14), [0, 3, 4, 14]))).toEqual(["c0", "c3"]);
  });

  test("nobody for what stays in any case, since the recorder needs it", () => {
    expect(names(laggingConsumers(journal(10), [6, 7, 8], { now: START + 1e12 }))).toEqual(["c6"]);
    const large = [{ firstSeq: 1, events: 10, receivedAt: START, bytes: 100 }, ...journal(2, 11)];
    const reader = { consumer: "c", seq: 2, unreadAt: START, unreadRowEnd: 10 };
    expect(laggingConsumersOf([reader], large, stateOf(large, { now: START + 1e12, lowestCursor: 2 }), LIMITS)).toEqual(
      [],
    );
  });
});

describe("limiting what grows", () => {
  function limiting(rows: JournalRow[], cursors: ReadonlyMap<string, number> = new Map()) {
    const clock = new ManualClock();
    const abort = new AbortController();
    const audit = { left: 1_200, isBroken: false };
    const told: [event: string, fields: LogFields][] = [];
    const tell = (event: string, fields: LogFields): void => void told.push([event, fields]);
    const log: Logger = { error: () => {}, warn: tell, info: tell, debug: () => {} };
    const store: HistoryStore = {
      rows: async (after, limit) => {
        if (audit.isBroken) throw new Error("the disk is full");
        return rows.filter(({ firstSeq }) => firstSeq > after).slice(0, limit);
      },
      edges: async (nth) => ({
        last: rows.at(-1)?.firstSeq ?? 0,
        recentFrom: rows.at(-nth)?.firstSeq ?? 0,
        lowestCursor: cursors.size === 0 ? null : Math.min(...cursors.values()),
      }),
      extent: async () => ({ journalOldestAt: null, auditFirst: 1, auditLast: audit.left, auditOldestAt: null }),
      readers: async () =>
        [...cursors].map(([consumer, seq]) => {
          const next = rows.find(({ firstSeq }) => firstSeq > seq);
          return { consumer, seq, unreadAt: next?.receivedAt ?? 0, unreadRowEnd: seq + 1 };
        }),
      trim: async (through) => rows.splice(0, rows.filter(({ firstSeq }) => firstSeq <= through).length),
      auditRows: async () => [],
      trimAudit: async (_before, limit) => {
        const gone = Math.min(limit, audit.left);
        audit.left -= gone;
        return Array.from({ length: gone }, (_, index) => ({ id: index + 1, bytes: 1, kind: "others" }));
      },
      trimAuditOf: async () => {},
    };
    const limiter = new HistoryLimiter(store, LIMITS);
    const done = workUntil(abort.signal, oldHistory({ history: limiter, clock, log }));
    onTestFinished(async () => {
      abort.abort();
      await done;
    });
    return { clock, audit, abort, done, limiter, told };
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

  test("says once who keeps it from that, and once that it does so no longer", async () => {
    const rows = journal(20);
    const cursors = new Map([
      ["slow", 2],
      ["slower", 1],
      ["quick", 19],
    ]);
    const { clock, limiter, told } = limiting(rows, cursors);
    await clock.advance(10 * 60_000);
    expect(rows[0]?.firstSeq).toBe(2);
    expect(limiter.laggingConsumers.map(({ consumer }) => consumer)).toEqual(["slow", "slower"]);
    expect(told).toEqual([
      ["retention.held", expect.objectContaining({ consumer: "slow", events_behind: 18, unread_since: START + 2 })],
      ["retention.held", expect.objectContaining({ consumer: "slower", events_behind: 19, unread_since: START + 1 })],
    ]);
    told.length = 0;
    cursors.set("slower", 18);
    await clock.advance(10 * 60_000);
    expect(told).toEqual([["retention.released", { consumer: "slower" }]]);
    cursors.clear();
    await clock.advance(10 * 60_000);
    expect(told.slice(1)).toEqual([["retention.released", { consumer: "slow" }]]);
    expect(limiter.laggingConsumers).toEqual([]);
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
