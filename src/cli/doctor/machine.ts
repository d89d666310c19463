import { existsSync, realpathSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Clock, Random } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import { systemClock, systemRandom } from "../../platform/clock.ts";

/** What the checks ask of this machine. Passed in, so that a test can have a full disk or a clock that is off. */
export interface Machine {
  readonly clock: Clock;
  readonly random: Random;
  /** The user who runs the command; null where there are no such numbers. */
  readonly uid: number | null;
  /** Bytes on the disk that a folder is on; `free` is what an ordinary user may still fill. */
  space(folder: string): Promise<{ readonly free: number; readonly total: number }>;
  /** A sentence that names who holds the database; null where nobody does, or nobody can tell. */
  holderOf(database: string): Promise<string | null>;
  /** How long a homeserver may take to find out that it does not reach us, milliseconds. Synapse gives up after a minute. */
  readonly pingTimeout: number;
}

export const thisMachine: Machine = {
  clock: systemClock,
  random: systemRandom,
  uid: process.getuid?.() ?? null,
  async space(folder) {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  },
  holderOf,
  pingTimeout: 65_000,
};

/** Takes the lock for a moment; a daemon that starts just then waits longer than that. */
async function holderOf(database: string): Promise<string | null> {
  // Made by root, for example, the lock's file would keep Emissary's user from ever having the lock.
  const file = existsSync(database) ? realpathSync(database) : database;
  if (!existsSync(`${file}.lock`)) return null;
  const { takeInstanceLock } = await import("../../storage/instance-lock.ts");
  try {
    takeInstanceLock(database, { command: "emissary doctor", since: systemClock.now() }).release();
    return null;
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    return error.code === "in-use" ? error.message : null;
  }
}
