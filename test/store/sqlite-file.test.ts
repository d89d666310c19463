import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import DatabaseConstructor, { type Database } from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { EmissaryError } from "../../src/model/errors.ts";
import type { TenantId } from "../../src/model/ids.ts";
import { Tenants } from "../../src/policy/tenants.ts";
import { migrate, readMigrations, type Migration } from "../../src/storage/migrate.ts";
import { compileExpression } from "../../src/platform/expressions.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { ManualClock, seededRandom } from "../support/clock.ts";
import { member, message, OWN, recordOf, ROOM, state } from "../support/events.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "emissary-file-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function open(path: string): SqliteStorage {
  const storage = new SqliteStorage(path);
  onTestFinished(() => storage.close());
  return storage;
}

/** What the operator is told when the database cannot be opened. */
function complaint(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof EmissaryError && error.code === "bad-config") return error.message;
    throw error;
  }
  throw new Error("it was opened");
}

const mode = (path: string): number => statSync(path).mode & 0o777;

describe("the database file", () => {
  test("is made where there is none, for nobody's eyes but ours, its log too", async () => {
    const path = join(folder(), "emissary.db");
    const storage = open(path);
    await storage.ledger.record(recordOf("1", [message({ id: "1" })]));
    for (const suffix of ["", "-wal", "-shm"]) expect([suffix, mode(path + suffix)]).toEqual([suffix, 0o600]);
  });

  test("that others may read is closed to them", () => {
    const path = join(folder(), "emissary.db");
    writeFileSync(path, "");
    chmodSync(path, 0o666);
    open(path);
    expect(mode(path)).toBe(0o600);
  });

  test("is one file again once it is closed", async () => {
    const path = folder();
    const storage = new SqliteStorage(join(path, "emissary.db"));
    await storage.ledger.record(recordOf("1", [message({ id: "1" })]));
    storage.close();
    expect(readdirSync(path)).toEqual(["emissary.db"]);
    expect(await open(join(path, "emissary.db")).journal.bounds()).toEqual({ first: 1, last: 1 });
  });

  test("in a folder that does not exist: the sentence names the file and the folder", () => {
    const path = join(folder(), "missing", "emissary.db");
    const said = complaint(() => new SqliteStorage(path));
    expect(said).toContain(path);
    expect(said).toContain(`Check that ${join(path, "..")} exists`);
    expect(existsSync(join(path, ".."))).toBe(false);
  });

  test("that is a folder: the sentence names it", () => {
    const path = join(folder(), "emissary.db");
    mkdirSync(path);
    expect(complaint(() => new SqliteStorage(path))).toContain(path);
  });

  // A wrong `storage.sqlite` closed somebody's file to its other readers before it was seen to be no database.
  test("that is no database is left as it is, its mode too, and named", () => {
    const path = join(folder(), "notes.txt");
    const notes = "not a database at all, ".repeat(100);
    writeFileSync(path, notes);
    chmodSync(path, 0o644);
    const said = complaint(() => new SqliteStorage(path));
    expect(said).toContain(path);
    expect(said).toContain("storage.sqlite");
    expect(readFileSync(path, "utf8")).toBe(notes);
    expect(mode(path)).toBe(0o644);
  });
});

describe("the schema", () => {
  const bare = (): Database => {
    const db = new DatabaseConstructor(":memory:");
    onTestFinished(() => void db.close());
    return db;
  };
  const versions = (db: Database): unknown =>
    db.prepare("SELECT number FROM schema_versions ORDER BY number").pluck().all();
  const tables = (db: Database): unknown =>
    db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").pluck().all();
  const migration = (number: number, sql: string, oldest = 1): Migration => ({
    number,
    oldest,
    title: "of a test",
    sql,
  });
  const ONE = migration(1, "CREATE TABLE one (a)");
  const TWO = migration(2, "CREATE TABLE two (a); INSERT INTO one VALUES (2)");

  test("is made by all migrations, in order, each once", () => {
    const db = bare();
    migrate(db, "x.db", [ONE]);
    expect(versions(db)).toEqual([1]);
    migrate(db, "x.db", [ONE, TWO]);
    migrate(db, "x.db", [ONE, TWO]);
    expect(versions(db)).toEqual([1, 2]);
    expect(db.prepare("SELECT a FROM one").pluck().all()).toEqual([2]);
  });

  test("the migrations that come with the program are numbered from 1, and none is older than what it says may open it", () => {
    const migrations = readMigrations();
    expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, index) => index + 1));
    for (const { number, oldest } of migrations) {
      expect(oldest).toBeGreaterThanOrEqual(1);
      expect(oldest).toBeLessThanOrEqual(number);
    }
  });

  test.each([
    ["no first line", "CREATE TABLE a (b);\n"],
    ["another number", "-- 002, oldest 1: title\nCREATE TABLE a (b);\n"],
    ["no oldest", "-- 001: title\nCREATE TABLE a (b);\n"],
  ])("a migration with %s is refused by its name", (_what, sql) => {
    const path = folder();
    writeFileSync(join(path, "001-odd.sql"), sql);
    expect(() => readMigrations(new URL(`file://${path}/`))).toThrow("001-odd.sql");
  });

  test("a migration that fails in the middle leaves the schema before it, and may be tried again", () => {
    const db = bare();
    migrate(db, "x.db", [ONE]);
    const before = tables(db);
    const broken = migration(2, "CREATE TABLE two (a); INSERT INTO one VALUES (2); INSERT INTO missing VALUES (1)");
    expect(() => migrate(db, "x.db", [ONE, broken])).toThrow("missing");
    expect(tables(db)).toEqual(before);
    expect(versions(db)).toEqual([1]);
    expect(db.prepare("SELECT a FROM one").pluck().all()).toEqual([]);
    migrate(db, "x.db", [ONE, TWO]);
    expect(versions(db)).toEqual([1, 2]);
  });

  test("migrations before a failing one stay done", () => {
    const db = bare();
    expect(() => migrate(db, "x.db", [ONE, TWO, migration(3, "nonsense")])).toThrow("nonsense");
    expect(versions(db)).toEqual([1, 2]);
  });

  describe("of a newer program", () => {
    /** A database that a later version wrote, and its word on which programs may still open it. */
    function newer(oldest: number, change: (db: Database) => void): string {
      const path = join(folder(), "emissary.db");
      new SqliteStorage(path).close();
      const db = new DatabaseConstructor(path);
      change(db);
      db.prepare("INSERT INTO schema_versions VALUES (?, ?, 'of the future')").run(readMigrations().length + 1, oldest);
      db.close();
      return path;
    }

    function addTable(db: Database): void {
      db.exec("CREATE TABLE of_the_future (a)");
    }

    function addColumnEverywhere(db: Database): void {
      const names = db.prepare<[], string>(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
      );
      for (const name of names.pluck().all()) {
        if (name !== "schema_versions")
          db.exec(`ALTER TABLE ${name} ADD COLUMN of_the_future INTEGER NOT NULL DEFAULT 0`);
      }
    }

    test("that this program may still open is opened, and left at its number", async () => {
      const path = newer(1, addTable);
      const storage = new SqliteStorage(path);
      await storage.ledger.record(recordOf("1", [member(OWN, "join", { id: "1" })]));
      await storage.leases.book({ roomId: ROOM, holder: { kind: "peek", name: "p" }, via: [], ttl: null }, 1);
      storage.close();
      const db = new DatabaseConstructor(path);
      onTestFinished(() => void db.close());
      expect(db.prepare("SELECT max(number) FROM schema_versions").pluck().get()).toBe(readMigrations().length + 1);
    });

    test("that it may not is refused with the file, both numbers and the way out, and not written to", () => {
      const newest = readMigrations().length;
      const path = newer(newest + 1, addTable);
      const before = readFileSync(path);
      const said = complaint(() => new SqliteStorage(path));
      expect(said).toContain(path);
      expect(said).toContain("newer Emissary");
      expect(said).toContain(`schema ${newest + 1}`);
      expect(said).toContain(`knows ${newest}`);
      expect(said).toContain("backup");
      expect(readFileSync(path).equals(before)).toBe(true);
    });

    // A column more is the commonest change that an older program could live with, and the schema's `oldest` would say so. Rows
    // were written by position (`INSERT INTO tenants VALUES (…)`), so that the older program did not even start.
    test("with a column more in every table, all that this program writes is written", async () => {
      const storage = open(newer(1, addColumnEverywhere));
      const tenants = tenantsOf(storage);
      await tenants.start();
      await tenants.add(WISH);
      const holder = { kind: "tenant", name: "telegram" } as const;
      await storage.leases.book({ roomId: ROOM, holder, via: [], ttl: null }, 1);
      const events = [member(OWN, "join", { id: "1" }), state("m.room.name", { name: "N" }, { id: "2" })];
      const { changes } = recordOf("", events);
      await storage.ledger.record(recordOf("1", events, { setAside: [{ fault: "not an object", json: "7" }] }));
      const ticket = await storage.loads.begin(ROOM);
      await storage.loads.part(ticket, changes, 1);
      await storage.loads.finish(ticket, 1);
      await storage.journal.advance("reader", 2);
      const { attendance, revision } = await storage.attendance.situation(ROOM);
      expect(await storage.attendance.save({ ...attendance, phase: "present" }, revision)).toBe(true);
      await storage.attendance.refuse(ROOM, "c", "r", 1, Number.MAX_SAFE_INTEGER);
      expect(await storage.ledger.room(ROOM)).toMatchObject({ name: "N", load: "loaded" });
      expect(await storage.journal.read(0, 10)).toHaveLength(2);
    });
  });
});

const WISH = {
  id: "telegram" as TenantId,
  url: null,
  users: null,
  actions: ["read"] as const,
  ephemeral: false,
  maxTransaction: null,
  ca: null,
};

function tenantsOf(storage: SqliteStorage): Tenants {
  return new Tenants({
    store: storage.tenants,
    own: OWN,
    compile: compileExpression,
    secret: "the-as-token-of-our-registration",
    clock: new ManualClock(),
    random: seededRandom(1),
  });
}

test("neither token of a tenant is anywhere in the files, nor is the secret that one is made with", async () => {
  const path = folder();
  const storage = open(join(path, "emissary.db"));
  const tenants = tenantsOf(storage);
  await tenants.start();
  const first = await tenants.add(WISH);
  const second = await tenants.rotate("telegram");
  const files = readdirSync(path).map((name) => readFileSync(join(path, name)));
  expect(Buffer.concat(files).includes("telegram")).toBe(true);
  for (const secret of [
    first.tokens.asToken,
    first.tokens.hsToken,
    second.tokens.asToken,
    second.tokens.hsToken,
    "the-as-token-of-our-registration",
  ]) {
    expect(files.some((bytes) => bytes.includes(secret))).toBe(false);
  }
});
