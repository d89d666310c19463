import { existsSync } from "node:fs";
import { link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import DatabaseConstructor, { type Database } from "better-sqlite3";
import type { Random } from "../model/clock.ts";
import { EmissaryError, sentenceOf } from "../model/errors.ts";
import type { AuditStore } from "./audit.ts";
import { Store } from "./store.ts";
import { syncFolder } from "./sync-folder.ts";

/** Pages copied in one step. Everything else has its turn between two steps. */
const PAGES = 100;

/** Errors of `link` on file systems without hard links. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Makes backups of the open database while it is written. */
export class SqliteBackups extends Store {
  readonly #audit: AuditStore;
  #isBusy = false;

  constructor(db: Database, audit: AuditStore) {
    super(db);
    this.#audit = audit;
  }

  async make(path: string, now: number, random: Random, abort: AbortSignal): Promise<{ readonly bytes: number }> {
    if (this.#isBusy) throw new EmissaryError("in-use", "Another backup is being made; try again when it is done.");
    this.#isBusy = true;
    try {
      const bytes = await copyDatabase(this.db, path, random, abort);
      const detail = { path, bytes };
      const entry = { actor: "operator", action: "backup.make", outcome: "done", roomId: null, detail };
      // The copy succeeded even if the disk has no room for this row. An error would make the operator copy again.
      await this.#audit.noteAll([entry], now).catch(() => undefined);
      return { bytes };
    } finally {
      this.#isBusy = false;
    }
  }
}

/**
 * Backs up a database that no daemon has open; the caller holds its lock. Changes and migrates nothing in it.
 * @throws EmissaryError `bad-config` if the file is no database of Emissary.
 */
export async function backupFile(source: string, target: string, random: Random): Promise<{ readonly bytes: number }> {
  const db = openToRead(source);
  try {
    return { bytes: await copyDatabase(db, target, random, new AbortController().signal) };
  } finally {
    db.close();
  }
}

function openToRead(path: string): Database {
  try {
    const db = new DatabaseConstructor(path, { readonly: true, fileMustExist: true });
    try {
      db.prepare("SELECT number FROM schema_versions LIMIT 1").get();
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    const sentence = `The database ${path} (storage.sqlite) cannot be read: ${sentenceOf(error)}.`;
    throw new EmissaryError("bad-config", sentence, { cause: error });
  }
}

/**
 * Copies the database as it is when the copying ends: what this connection commits meanwhile goes into the copy too
 * (SQLite, "Online Backup API"). The copy gets its name once it is whole and on disk, and never replaces a file.
 * @returns its size in bytes
 */
async function copyDatabase(db: Database, target: string, random: Random, abort: AbortSignal): Promise<number> {
  if (existsSync(target)) throw taken(target);
  const temporary = `${target}.${random.token(6)}.tmp`;
  try {
    // SQLite accepts an existing file and keeps its mode.
    await (await open(temporary, "wx", 0o600)).close();
    await db.backup(temporary, {
      progress: () => {
        if (abort.aborted) throw new EmissaryError("not-ready", "Emissary is stopping: the backup was not finished.");
        return PAGES;
      },
    });
    const bytes = await sync(temporary);
    await putInPlace(temporary, target);
    await syncFolder(dirname(target));
    return bytes;
  } catch (error) {
    if (error instanceof EmissaryError) throw error;
    const sentence = `The backup could not be written to ${target}: ${sentenceOf(error)}.`;
    throw new EmissaryError("bad-request", sentence, { cause: error });
  } finally {
    for (const suffix of ["", "-journal"]) await rm(temporary + suffix, { force: true });
  }
}

/** Gives the copy its name. It uses a link, because a rename would replace a file that appeared meanwhile. */
async function putInPlace(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "EEXIST" || existsSync(target)) throw taken(target);
    if (!NO_LINKS.has(code)) throw error;
    await rename(temporary, target);
  }
}

function taken(target: string): EmissaryError {
  return new EmissaryError("in-use", `${target} exists already and is not overwritten.`);
}

async function sync(path: string): Promise<number> {
  await using file = await open(path, "r+");
  await file.sync();
  return (await file.stat()).size;
}
