import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../../src/storage/open.ts";

// What each level outlives is SQLite's promise ("PRAGMA synchronous"); ours is that the level asked for is the one that is set.
test.each([
  ["full", 2],
  ["process", 1],
  [undefined, 2],
] as const)("storage.durability %s is SQLite's synchronous level %d", (durability, level) => {
  const folder = mkdtempSync(join(tmpdir(), "emissary-durability-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const db = openDatabase(join(folder, "emissary.db"), durability);
  onTestFinished(() => void db.close());
  expect(db.pragma("synchronous", { simple: true })).toBe(level);
});
