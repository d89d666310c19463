import { describe, expect, test } from "vitest";
import type { AuditEntry } from "../../../src/model/audit.ts";
import { RepeatedEntries, type Occurrence } from "../../../src/model/repeated-entries.ts";
import { ManualClock, settle } from "../../support/clock.ts";

const entry = (actor: string): AuditEntry => ({
  actor,
  action: "lease.take",
  outcome: "join-rule",
  roomId: null,
  detail: { via: [] },
});
const OCCURRENCE: Occurrence = { group: "users", entry: entry("one"), other: entry("others") };

function scene({ write = async (): Promise<void> => {} } = {}) {
  const clock = new ManualClock();
  const rows: unknown[][] = [];
  const errors: unknown[] = [];
  const abort = new AbortController();
  const entries = new RepeatedEntries({
    write: async ({ actor, detail }) => {
      rows.push([actor, detail["times"]]);
      await write();
    },
    kinds: 2,
    clock,
    abort: abort.signal,
    failed: (error) => errors.push(error),
  });
  return { clock, rows, errors, abort, entries };
}

describe("what happens again and again", () => {
  test("is a row at once and one a minute, whose numbers add up to how often", async () => {
    const { clock, rows, entries } = scene();
    for (let n = 0; n < 1_000; n += 1) await entries.note(OCCURRENCE, "same");
    expect(rows).toEqual([["one", 1]]);
    await clock.advance(60_000);
    expect(rows).toEqual([
      ["one", 1],
      ["one", 999],
    ]);
  });

  test("in more kinds than are told apart is one row for all others; other groups do not share in it", async () => {
    const { clock, rows, entries } = scene();
    for (const kind of ["a", "b", "c", "d", "e"]) await entries.note(OCCURRENCE, kind);
    await entries.note({ ...OCCURRENCE, group: "tenants" }, "a");
    await clock.advance(60_000);
    expect(rows).toEqual([
      ["one", 1],
      ["one", 1],
      ["others", 1],
      ["one", 1],
      ["others", 2],
    ]);
  });

  test("no longer costs no memory and no timer", async () => {
    const { clock, entries } = scene();
    for (const kind of ["a", "b", "c"]) await entries.note(OCCURRENCE, kind);
    await clock.advance(120_000);
    expect(clock.sleepers).toBe(0);
  });

  test("and was counted is written when Emissary stops", async () => {
    const { rows, abort, entries } = scene();
    for (let n = 0; n < 5; n += 1) await entries.note(OCCURRENCE, "same");
    abort.abort();
    await settle();
    expect(rows).toEqual([
      ["one", 1],
      ["one", 4],
    ]);
  });

  test("keeps nobody from an answer where the disk is full: that is told elsewhere", async () => {
    const full = new Error("disk full");
    const { errors, entries } = scene({ write: () => Promise.reject(full) });
    await entries.note(OCCURRENCE, "same");
    expect(errors).toEqual([full]);
  });
});
