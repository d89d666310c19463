import { describe, expect, test } from "vitest";
import { RecentIds } from "../../../src/ledger/recent-ids.ts";

describe("recent IDs", () => {
  test("are known until so many newer ones came", () => {
    const ids = new RecentIds(3);
    for (const id of ["a", "b", "c"]) ids.add(id);
    expect(["a", "b", "c"].map((id) => ids.has(id))).toEqual([true, true, true]);
    ids.add("d");
    expect(["a", "b", "c", "d"].map((id) => ids.has(id))).toEqual([false, true, true, true]);
  });

  test("never grow past their bound, and one that comes again takes no second place", () => {
    const ids = new RecentIds(100);
    for (let n = 0; n < 1_000; n += 1) for (let again = 0; again < 3; again += 1) ids.add(`$${n}`);
    expect(ids.size).toBe(100);
    expect(ids.has("$900")).toBe(true);
    expect(ids.has("$899")).toBe(false);
  });

  test("may be named like anything", () => {
    const ids = new RecentIds(2);
    expect(["__proto__", "constructor", ""].map((id) => ids.has(id))).toEqual([false, false, false]);
    ids.add("__proto__");
    expect(ids.has("__proto__")).toBe(true);
  });
});
