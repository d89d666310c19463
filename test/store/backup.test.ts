import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import DatabaseConstructor from "better-sqlite3";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { backupFile } from "../../src/storage/backup.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { seededRandom, START } from "../support/clock.ts";
import { ALICE, member, message, recordOf, ROOM } from "../support/events.ts";

const random = seededRandom(1);
const never = new AbortController().signal;

let dir: string;
let storage: SqliteStorage;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "emissary-backup-"));
  storage = new SqliteStorage(join(dir, "emissary.db"));
  return () => {
    storage.close();
    rmSync(dir, { recursive: true, force: true });
  };
});

async function fill(rows: number, from = 1): Promise<void> {
  for (let n = from; n < from + rows; n += 1) {
    const events = [
      member(ALICE, "join", { id: `m${n}`, name: `Alice ${n}` }),
      message({ id: `e${n}` }, "x".repeat(2_000)),
    ];
    await storage.ledger.record(recordOf(String(n), events));
  }
}

/** How many transactions a copy holds. Fails where it is not sound, or ledger and journal disagree. */
function check(path: string): number {
  const db = new DatabaseConstructor(path);
  onTestFinished(() => void db.close());
  expect(db.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
  expect(db.pragma("foreign_key_check")).toEqual([]);
  const rows = db.prepare("SELECT first_seq, event_ids FROM journal ORDER BY first_seq").all() as {
    first_seq: number;
    event_ids: string;
  }[];
  rows.forEach((row, index) => {
    expect(row).toEqual({ first_seq: 2 * index + 1, event_ids: JSON.stringify([`$m${index + 1}`, `$e${index + 1}`]) });
  });
  expect(db.prepare("SELECT event_id FROM members WHERE user_id = ?").pluck().get(ALICE)).toBe(`$m${rows.length}`);
  return rows.length;
}

describe("a backup of the open database", () => {
  test("is whole, sound, ours alone, and noted in the audit", async () => {
    await fill(50);
    const path = join(dir, "copy.db");
    const { bytes } = await storage.backups.make(path, START, random, never);
    expect(statSync(path)).toMatchObject({ size: bytes, mode: 0o100600 });
    expect(check(path)).toBe(50);
    expect(await storage.audit.newest(null, 1)).toMatchObject([
      { actor: "operator", action: "backup.make", outcome: "done", at: START, detail: { path, bytes } },
    ]);
  });

  test("made while transactions come in, it holds a beginning of the journal and the ledger of that moment", async () => {
    await fill(600);
    const path = join(dir, "copy.db");
    const made = storage.backups.make(path, START, random, never);
    const state = { isMade: false };
    void made.then(() => (state.isMade = true));
    let written = 600;
    while (!state.isMade) {
      written += 1;
      await fill(1, written);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await made;
    const copied = check(path);
    expect(copied).toBeGreaterThan(600);
    expect(copied).toBeLessThanOrEqual(written);
    const restored = new SqliteStorage(path);
    onTestFinished(() => restored.close());
    expect((await restored.ledger.room(ROOM))?.roomId).toBe(ROOM);
  });

  test("never replaces a file, and leaves nothing where it fails", async () => {
    await fill(1);
    const path = join(dir, "copy.db");
    writeFileSync(path, "mine");
    await expect(storage.backups.make(path, START, random, never)).rejects.toMatchObject({
      code: "in-use",
      message: `${path} exists already and is not overwritten.`,
    });
    expect(readFileSync(path, "utf8")).toBe("mine");
    const missing = join(dir, "missing", "copy.db");
    await expect(storage.backups.make(missing, START, random, never)).rejects.toMatchObject({
      code: "bad-request",
      message: expect.stringContaining(missing) as string,
    });
    expect(readdirSync(dir).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  test("one that somebody else made of the name meanwhile stays", async () => {
    await fill(600);
    const path = join(dir, "copy.db");
    const made = storage.backups.make(path, START, random, never);
    await new Promise((resolve) => setTimeout(resolve, 5));
    writeFileSync(path, "theirs");
    await expect(made).rejects.toMatchObject({ code: "in-use" });
    expect(readFileSync(path, "utf8")).toBe("theirs");
    expect(readdirSync(dir).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  test("is one at a time, and ends with the daemon", async () => {
    await fill(600);
    const stop = new AbortController();
    const first = storage.backups.make(join(dir, "1.db"), START, random, stop.signal);
    await expect(storage.backups.make(join(dir, "2.db"), START, random, never)).rejects.toMatchObject({
      code: "in-use",
    });
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: "not-ready" });
    expect(readdirSync(dir).filter((name) => name.endsWith(".tmp") || /^\d/.test(name))).toEqual([]);
    await storage.backups.make(join(dir, "3.db"), START, random, never);
    expect(check(join(dir, "3.db"))).toBe(600);
  });
});

describe("a backup of a database that nobody has open", () => {
  test("holds what a killed daemon left in the write-ahead log, and changes nothing there", async () => {
    await fill(30);
    const dead = join(dir, "dead.db");
    for (const suffix of ["", "-wal"]) {
      writeFileSync(dead + suffix, readFileSync(join(dir, `emissary.db${suffix}`)), { mode: 0o600 });
    }
    const before = readFileSync(dead);
    await backupFile(dead, join(dir, "copy.db"), random);
    expect(check(join(dir, "copy.db"))).toBe(30);
    expect(readFileSync(dead).equals(before)).toBe(true);
  });

  test("that is missing, or somebody else's, is named and not made", async () => {
    const missing = join(dir, "missing.db");
    const refused = { code: "bad-config", message: expect.stringContaining(missing) as string };
    await expect(backupFile(missing, join(dir, "copy.db"), random)).rejects.toMatchObject(refused);
    expect(existsSync(missing)).toBe(false);
    const foreign = new DatabaseConstructor(missing);
    foreign.exec("CREATE TABLE a (b)");
    foreign.close();
    await expect(backupFile(missing, join(dir, "copy.db"), random)).rejects.toMatchObject(refused);
    expect(existsSync(join(dir, "copy.db"))).toBe(false);
  });
});
