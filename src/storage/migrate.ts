import { readdirSync, readFileSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { EmissaryError } from "../model/errors.ts";

export interface Migration {
  readonly number: number;
  /** The oldest schema version whose program can still open the result. */
  readonly oldest: number;
  readonly title: string;
  readonly sql: string;
}

const FOLDER = new URL("./migrations/", import.meta.url);
const FIRST_LINE = /^-- (\d{3}), oldest (\d+): (.+)$/;

/** Reads the program's migrations, in order. They are numbered from 1 without gaps. */
export function readMigrations(folder: URL = FOLDER): readonly Migration[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  return names.map((name, index) => {
    const sql = readFileSync(new URL(name, folder), "utf8");
    const head = FIRST_LINE.exec(sql.slice(0, sql.indexOf("\n")));
    const [, number, oldest, title] = head ?? [];
    if (number === undefined || oldest === undefined || title === undefined || Number(number) !== index + 1) {
      throw new Error(
        `migration ${name}: the first line must be "-- ${String(index + 1).padStart(3, "0")}, oldest N: title"`,
      );
    }
    return { number: Number(number), oldest: Number(oldest), title, sql };
  });
}

/**
 * Migrates the database to this program's schema, each migration in its own transaction; forward only. Opens a newer
 * database unchanged if its newest migration allows this program.
 * @throws EmissaryError `bad-config` if it does not.
 */
export function migrate(db: Database, path: string, migrations: readonly Migration[] = readMigrations()): void {
  db.exec(
    "CREATE TABLE IF NOT EXISTS schema_versions (number INTEGER PRIMARY KEY, oldest INTEGER NOT NULL, title TEXT NOT NULL) STRICT",
  );
  const newest = migrations.length;
  const found = db
    .prepare<[], { number: number; oldest: number }>(
      "SELECT number, oldest FROM schema_versions ORDER BY number DESC LIMIT 1",
    )
    .get();
  if (found !== undefined && found.number > newest) {
    if (found.oldest <= newest) return;
    throw new EmissaryError(
      "bad-config",
      `The database ${path} was written by a newer Emissary (schema ${found.number}, which programs from schema ${found.oldest} on may open; ` +
        `this one knows ${newest}). Run that version, or restore a backup made before the update.`,
    );
  }
  const done = db.prepare("INSERT INTO schema_versions (number, oldest, title) VALUES (?, ?, ?)");
  for (const { number, oldest, title, sql } of migrations.slice(found?.number ?? 0)) {
    db.transaction(() => {
      db.exec(sql);
      done.run(number, oldest, title);
    }).immediate();
  }
}
