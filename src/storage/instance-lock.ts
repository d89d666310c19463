import { closeSync, existsSync, openSync, realpathSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import DatabaseConstructor, { type Database } from "better-sqlite3";
import { EmissaryError } from "../model/errors.ts";
import { causeOf } from "./faults.ts";

/** How long to wait for a process that is only reading the lock's holder, in milliseconds. */
const BUSY_MS = 250;

export interface LockHolder {
  /** The command that holds the database: `emissary run`, `emissary backup`. */
  readonly command: string;
  readonly since: number;
}

export interface InstanceLock {
  release(): void;
}

/**
 * Locks the database for this process, before anything else uses it. Two programs that write one ledger would each
 * invalidate the other's memory. The lock is a write transaction, never committed, on a small database beside the real one (`emissary.db.lock`). The
 * operating system ends it with the process, so no lock outlives `kill -9`, and no process ID has to be trusted. A
 * refused process can still read the small database, which names the holder; the real one stays open to readers.
 * @throws EmissaryError `in-use` naming file and holder; `bad-config` if the file cannot be locked at all.
 */
export function takeInstanceLock(path: string, holder: LockHolder): InstanceLock {
  // A database in memory cannot be shared.
  if (path === ":memory:") return { release: () => {} };
  let file = `${path}.lock`;
  try {
    file = lockFileOf(path);
    makeOurs(file);
    const db = new DatabaseConstructor(file, { timeout: BUSY_MS });
    try {
      hold(db, holder);
      return { release: () => void db.close() };
    } catch (error) {
      const other = isBusy(error) ? holderIn(db) : null;
      db.close();
      if (other !== null) throw new EmissaryError("in-use", `The database ${path} is in use by ${other}. ${REPAIR}`);
      throw error;
    }
  } catch (error) {
    if (error instanceof EmissaryError) throw error;
    throw new EmissaryError(
      "bad-config",
      `The database ${path} cannot be locked: ${causeOf(error)}. Check that ${dirname(path)} exists, that this user may write ` +
        `there, that its disk is writable and has room, and that ${file}, if it is there, is Emissary's (storage.sqlite); it may be removed while nothing runs.`,
      { cause: error },
    );
  }
}

const REPAIR = "Stop that one first, or name another file in storage.sqlite.";

/** Returns one lock file for all names of a database, including symbolic links. */
function lockFileOf(path: string): string {
  const real = existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path));
  return `${real}.lock`;
}

/**
 * Creates the file with our mode if it is missing. Opens no existing file: closing it would release this process's lock
 * on it (POSIX, fcntl).
 */
function makeOurs(file: string): void {
  if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
}

/** Writes the holder, and then keeps the write lock. */
function hold(db: Database, { command, since }: LockHolder): void {
  db.transaction(() => {
    db.exec(
      "CREATE TABLE IF NOT EXISTS holder (one INTEGER PRIMARY KEY CHECK (one = 1), command TEXT, pid INTEGER, host TEXT, since INTEGER) STRICT",
    );
    db.prepare("INSERT OR REPLACE INTO holder VALUES (1, ?, ?, ?, ?)").run(command, process.pid, hostname(), since);
  }).immediate();
  db.exec("BEGIN IMMEDIATE");
}

/** Describes the holder in words, without names if it has not written them yet. */
function holderIn(db: Database): string {
  try {
    const sql = "SELECT command, pid, host, since FROM holder";
    const row = db.prepare<[], LockHolder & { pid: number; host: string }>(sql).get();
    if (row !== undefined)
      return `\`${row.command}\`, process ${row.pid} on ${row.host}, since ${new Date(row.since).toISOString()}`;
  } catch {
    // It has not written its name yet.
  }
  return "another process";
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY");
}
