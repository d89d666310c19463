import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecentEventIds } from "../../../src/ledger/recent-event-ids.ts";
import { seededRandom } from "../../support/clock.ts";

const hashId = (nr: number): string => `$${createHash("sha256").update(String(nr)).digest("base64url")}`;
const recent = (limit: number): RecentEventIds => new RecentEventIds(limit, seededRandom(1));

describe("recent event IDs", () => {
  test("are known until so many newer ones came, whatever the order of coming and asking", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(60)), (limit, numbers) => {
        const ids = recent(limit);
        let model: string[] = [];
        for (const id of numbers.map(hashId)) {
          expect(ids.has(id)).toBe(model.includes(id));
          ids.add(id);
          if (!model.includes(id)) model = [...model, id].slice(-limit);
          expect(ids.size).toBe(model.length);
        }
        for (let nr = 0; nr <= 60; nr += 1) expect(ids.has(hashId(nr))).toBe(model.includes(hashId(nr)));
      }),
    );
  });

  test("a hundred thousand that pass through leave exactly the newest", () => {
    const ids = recent(1_000);
    for (let nr = 0; nr < 100_000; nr += 1) ids.add(hashId(nr));
    expect(ids.size).toBe(1_000);
    for (let nr = 0; nr < 1_000; nr += 1) {
      expect(ids.has(hashId(99_000 + nr))).toBe(true);
      expect(ids.has(hashId(98_999 - nr))).toBe(false);
    }
  });

  // Not how hashes look; but a table that sorted IDs by their beginning would take minutes for these, and a start with it.
  test("that differ at their ends only are found as quickly as others", () => {
    const ids = recent(50_000);
    const alike = Array.from({ length: 50_000 }, (_, nr) => `$${String(nr).padStart(43, "0")}`);
    for (const id of alike) ids.add(id);
    expect(alike.every((id) => ids.has(id))).toBe(true);
  });

  // The table compares whole IDs: neighbours in it, or IDs that differ in their last character only, are not taken for each other.
  test("are told apart by every character", () => {
    const ids = recent(100);
    const id = hashId(1);
    ids.add(id);
    for (let at = 1; at < id.length; at += 1) {
      const other = `${id.slice(0, at)}${id[at] === "A" ? "B" : "A"}${id.slice(at + 1)}`;
      expect(ids.has(other)).toBe(false);
    }
  });

  test("of old room versions, and any other text, are known as well", () => {
    const ids = recent(2);
    const odd = ["$14:server.example", `$${"é".repeat(43)}`, `${hashId(1)} `, hashId(1).slice(0, 43), "__proto__", ""];
    for (const id of odd) {
      expect(ids.has(id)).toBe(false);
      ids.add(id);
      expect(ids.has(id)).toBe(true);
    }
    expect(ids.size).toBe(2);
  });
});
