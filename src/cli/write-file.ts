import { existsSync } from "node:fs";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { Random } from "../model/clock.ts";
import { syncFolder } from "../storage/sync-folder.ts";
import { CommandFailed, EXIT } from "./io.ts";

/** Readable by the owner only: all files written here contain secrets. */
const MODE = 0o600;

export interface NewFile {
  readonly path: string;
  readonly text: string;
}

/**
 * Replaces the files. Writes all contents to disk before it moves the first file, so a crash or a full disk leaves
 * each old file whole.
 */
export async function writeTogether(files: readonly NewFile[], random: Random): Promise<void> {
  const moves = files.map(({ path, text }) => ({ path, text, temporary: `${path}.${random.token(6)}.tmp` }));
  try {
    for (const { temporary, text } of moves) await writeNew(temporary, text);
    for (const { temporary, path } of moves) await rename(temporary, path);
  } finally {
    // A moved file is gone; with `force` that is no error.
    for (const { temporary } of moves) await rm(temporary, { force: true });
  }
  for (const folder of new Set(files.map(({ path }) => dirname(path)))) await syncFolder(folder);
}

/** Creates a file in advance, to have a place for a daemon's one-time answer. Throws CommandFailed if it exists. */
export async function takeNewFile(
  path: string,
): Promise<{ fill(text: string): Promise<void>; giveUp(): Promise<void> }> {
  if (existsSync(path)) throw new CommandFailed(EXIT.failed, `${path} exists already and is not overwritten.`);
  const file = await open(path, "wx", MODE);
  return {
    async fill(text) {
      await fillAndClose(file, text);
      await syncFolder(dirname(path));
    },
    async giveUp() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}

async function writeNew(path: string, text: string): Promise<void> {
  await fillAndClose(await open(path, "wx", MODE), text);
}

async function fillAndClose(file: FileHandle, text: string): Promise<void> {
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
