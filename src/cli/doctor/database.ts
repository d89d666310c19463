import { existsSync, statSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { sentenceOf } from "../../model/errors.ts";
import { isForeseen } from "../io.ts";
import type { Check, Context } from "./context.ts";
import { isJsonObject } from "../../model/json.ts";
import { isOpenToOthers } from "../../platform/config/files.ts";

const MEGABYTE = 1024 * 1024;
/** Below either bound the disk counts as nearly full. */
const LITTLE = { share: 0.05, bytes: 200 * MEGABYTE };
/** Below this the next large transaction may not fit. */
const NOTHING = 32 * MEGABYTE;

/** The first bytes of every SQLite database (SQLite, "Database File Format", 1.3). */
const HEADER = "SQLite format 3\0";

/** Returns the paths of the database, of SQLite's files beside it, and of the lock against a second daemon. */
function databaseFiles(path: string): string[] {
  return [path, `${path}-wal`, `${path}-shm`, `${path}.lock`];
}

export const database: Check = async (context, found) => {
  const path = context.config.storage.sqlite;
  const fault = await writeFault(path, context);
  if (fault !== null) return found.failure(fault);
  const files = databaseFiles(path).filter((file) => existsSync(file));
  const owners = [...new Set(files.map((file) => statSync(file).uid))];
  const { uid } = context.machine;
  // Root may examine another user's daemon; files of two owners are wrong for anybody.
  const isOurs = uid === null || uid === 0 || owners.every((owner) => owner === uid);
  if (!isOurs || owners.length > 1) {
    return found.warning({
      what: `${files.join(", ")}: owned by user ${owners.join(" and ")}, and this is user ${uid ?? "unknown"}.`,
      why: "Emissary was once run by another user, such as root, or this is not the user that it runs as.",
      do: `Run this as Emissary's user, or stop Emissary and give it its files: chown EMISSARYS_USER ${files.join(" ")}`,
    });
  }
  return found.ok(files.length === 0 ? `${path} can be made` : `${path} can be written`);
};

/** Tries what SQLite will do: write to the file and create files beside it. Leaves nothing behind. */
async function writeFault(path: string, { machine }: Context) {
  const folder = dirname(path);
  const probe = join(folder, `.emissary-doctor-${machine.random.token(6)}`);
  try {
    const file = await open(probe, "wx", 0o600);
    try {
      await file.writeFile("x".repeat(4096));
      await file.sync();
    } finally {
      await file.close();
      await rm(probe, { force: true });
    }
  } catch (error) {
    if (!isForeseen(error)) throw error;
    return {
      what: `Nothing can be written in ${folder}, where the database is: ${sentenceOf(error)}.`,
      why: "The folder is missing or another user's, or the disk is full or mounted for reading only.",
      do: `Make ${folder}, give it to Emissary's user, or name another file in storage.sqlite.`,
    };
  }
  return existsSync(path) ? fileFault(path) : null;
}

async function fileFault(path: string) {
  let head: string;
  try {
    const file = await open(path, "r+");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER.length), 0, HEADER.length, 0);
      head = buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!isForeseen(error)) throw error;
    return {
      what: `The database ${path} cannot be written: ${sentenceOf(error)}.`,
      why: "It is another user's, or no file, or its disk is mounted for reading only.",
      do: `Give it to Emissary's user, or name another file in storage.sqlite.`,
    };
  }
  if (head === "" || head === HEADER) return null;
  return {
    what: `${path} is no SQLite database.`,
    why: "storage.sqlite names another program's file, or something has written over the database.",
    do: "Name another file in storage.sqlite, or stop Emissary and put a backup of the database in its place.",
  };
}

export const disk: Check = async ({ config, machine }, found) => {
  const folder = dirname(config.storage.sqlite);
  if (!existsSync(folder)) return found.skipped(`${folder} does not exist`);
  const { free, total } = await machine.space(folder);
  const share = total === 0 ? 1 : free / total;
  const left = `${sizeOf(free)}, ${(share * 100).toFixed(1)} %`;
  if (free >= LITTLE.bytes && share >= LITTLE.share) return found.ok(`${left} free for the database`);
  return found[free < NOTHING ? "failure" : "warning"]({
    what: `The disk of ${folder} is nearly full: ${left} free.`,
    why: "The journal grows with every event; other programs may fill the same disk.",
    do: "Make room, or move Emissary's folder to another disk. What does not fit is not acknowledged, and the homeserver keeps it.",
  });
};

function sizeOf(bytes: number): string {
  const megabytes = bytes / MEGABYTE;
  return megabytes < 1024 ? `${Math.floor(megabytes)} MiB` : `${(megabytes / 1024).toFixed(1)} GiB`;
}

/** Readers of these files have the tokens and, with the database, every received event. */
export const fileModes: Check = async ({ source, config, configFile }, found) => {
  const admin = configFile["admin"];
  const holdsToken = isJsonObject(admin) && typeof admin["token"] === "string";
  const files = [
    ...(holdsToken ? [source.path] : []),
    config.appservice.registration,
    ...databaseFiles(config.storage.sqlite),
  ].filter((path) => existsSync(path));
  const open = files.filter(isOpenToOthers);
  if (open.length === 0) return found.ok(`${files.length} files, open to their owner only`);
  return found.warning({
    what: `Other users of this machine may read or change ${open.join(", ")}.`,
    why: "The files were copied, restored or edited in a way that does not keep their mode.",
    do: `chmod 600 ${open.map(inShell).join(" ")}`,
  });
};

function inShell(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
