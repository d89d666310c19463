import { chmodSync, closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import DatabaseConstructor, { type Database } from "better-sqlite3";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { migrate } from "./migrate.ts";

/** How long a write waits for another process (a backup, a look with the sqlite3 tool) before it fails, milliseconds. */
const BUSY_MS = 5_000;

/**
 * Opens the database, making it (mode 0600) where there is none, and brings it to this program's schema.
 * A commit is on disk when it returns (synchronous=FULL), which is what lets intake answer 200 after it.
 * @throws EmissaryError `bad-config` naming the file and what is wrong with it.
 */
export function openDatabase(path: string): Database {
  try {
    if (path !== ":memory:") {
      closeSync(openSync(path, "a", 0o600));
      chmodSync(path, 0o600);
    }
    const db = new DatabaseConstructor(path, { timeout: BUSY_MS });
    try {
      db.pragma("journal_mode = WAL");
      db.pragma("synchronous = FULL");
      db.pragma("foreign_keys = ON");
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
      `The database ${path} cannot be opened: ${sentenceOf(error)}. Check that ${dirname(path)} exists, that this user may write there, ` +
        `and that the file is an Emissary database (storage.sqlite).`,
      { cause: error },
    );
  }
}
