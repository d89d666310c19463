import { describe, expect, test } from "vitest";
import { faultsInRooms, faultsInTypes, isSameGrant, MAX_PATTERNS } from "../../../src/policy/grants.ts";
import type { Grant } from "../../../src/model/tenant.ts";

describe("patterns of rooms", () => {
  test.each([
    [["*"]],
    [["!room:a.example"]],
    [["!bNv7lzCzpQu9Gu3bzZvq1bKkNNNfFT2RUEb2nJ3bZgA"]],
    [["#ops:a.example", "!*:a.example", "#*:a.example", "*:a.example", "?room:a.example"]],
    [["!*"]],
  ])("%j are in order", (rooms) => expect(faultsInRooms(rooms)).toEqual([]));

  test.each<[string[], RegExp]>([
    [["*", "#ops:a.example"], /goes alone/],
    [["**"], /wildcards only: write \*, or !\*/],
    [["?*"], /wildcards only/],
    [["ops:a.example"], /"ops:a\.example" matches no room/],
    [["@alice:a.example"], /matches no room/],
    [["#ops"], /neither a room ID \(!…\) nor an alias/],
    [["!"], /neither a room ID/],
    [[""], /empty/],
    [[], /no pattern/],
    [[`!${"x".repeat(255)}`], /longer than 255/],
    [Array.from({ length: MAX_PATTERNS + 1 }, (_, n) => `!${n}`), /at most 100/],
  ])("%j are not", (rooms, why) => {
    const faults = faultsInRooms(rooms);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(why);
  });

  test("each fault is told", () => {
    expect(faultsInRooms(["ops", "!room:a.example", "**"])).toHaveLength(2);
  });
});

describe("patterns of event types", () => {
  test("are any text of a sensible length", () => {
    expect(faultsInTypes(["m.room.*", "*", "com.example.?"])).toEqual([]);
    expect(faultsInTypes([])).toHaveLength(1);
    expect(faultsInTypes(["", "x".repeat(256)])).toHaveLength(2);
  });
});

test("two grants are the same where they allow the same, whoever gave them", () => {
  const grant: Grant = { rooms: ["!a"], actions: ["read"], types: null, source: "operator" };
  expect(isSameGrant(grant, { ...grant, source: "invite" })).toBe(true);
  expect(isSameGrant(grant, { ...grant, types: ["m.*"] })).toBe(false);
  expect(isSameGrant(grant, { ...grant, rooms: ["!b"] })).toBe(false);
});
