import { closeSync, fchmodSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import DatabaseConstructor, { type Database } from "better-sqlite3";
import { EmissaryError } from "../model/errors.ts";
import { causeOf } from "./faults.ts";
import { migrate } from "./migrate.ts";

/** How long a write waits for another process (a backup, the sqlite3 tool) before it fails, in milliseconds. */
const BUSY_MS = 5_000;

/** First bytes of every SQLite database (SQLite, "Database File Format", 1.3). */
const SQLITE_HEADER = "SQLite format 3\0";

/**
 * Length of the write-ahead log at which it is checkpointed, in pages of 4 KiB. In a long log, a page that changes
 * often is written to the file once. The log's blocks are reused, which is faster than growing a file.
 */
const WAL_PAGES = 4_000;
/** SQLite's page cache, in KiB. A larger one would hold pages twice: the operating system caches the file too. */
const CACHE_KIB = 4_096;

/** What a commit survives: `full` a power cut, `process` a crash of this program but not of the machine. */
export type Durability = "full" | "process";

/**
 * Opens the database, creates it (mode 0600) if it is missing, and migrates it to this program's schema. With `full`,
 * a commit is on disk when it returns (synchronous=FULL), so intake can answer 200 after it. With `process`, the
 * operating system has it and writes it soon. Either way the file stays consistent (WAL).
 * @throws EmissaryError `bad-config` naming the file and what is wrong with it.
 */
export function openDatabase(path: string, durability: Durability = "full"): Database {
  try {
    if (path !== ":memory:") keepToOurselves(path);
    const db = new DatabaseConstructor(path, { timeout: BUSY_MS });
    try {
      db.pragma("journal_mode = WAL");
      db.pragma(`synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
      db.pragma("foreign_keys = ON");
      db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
      db.pragma(`cache_size = -${CACHE_KIB}`);
      migrate(db, path);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof EmissaryError) throw error;
    throw new EmissaryError(
      "bad-config",
      `The database ${path} cannot be opened: ${causeOf(error)}. Check that ${dirname(path)} exists, that this user may write there, ` +
        `that its disk is writable and has room, and that the file is an Emissary database (storage.sqlite).`,
      { cause: error },
    );
  }
}

/** Creates the file if it is missing, and removes others' rights to it. Leaves a file that is no database unchanged. */
function keepToOurselves(path: string): void {
  const file = openSync(path, "a+", 0o600);
  try {
    const head = Buffer.alloc(SQLITE_HEADER.length);
    const read = readSync(file, head, 0, head.length, 0);
    if (read > 0 && head.toString("latin1") !== SQLITE_HEADER) throw new Error("it is no SQLite database");
    fchmodSync(file, 0o600);
  } finally {
    closeSync(file);
  }
}
