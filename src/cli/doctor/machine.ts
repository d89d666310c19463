import { existsSync, realpathSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Clock, Random } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import { systemClock, systemRandom } from "../../platform/clock.ts";

/** This machine. Passed in, so that a test can have a full disk or a wrong clock. */
export interface Machine {
  readonly clock: Clock;
  readonly random: Random;
  /** The user who runs the command; null on systems without user IDs. */
  readonly uid: number | null;
  /** Bytes on a folder's disk; `free` is what an ordinary user may still fill. */
  space(folder: string): Promise<{ readonly free: number; readonly total: number }>;
  /** Names the process that holds the database, in a sentence; null if there is none or it is unknown. */
  holderOf(database: string): Promise<string | null>;
  /** Longest wait for a homeserver to find that it does not reach us, in ms. Synapse gives up after a minute. */
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

/** Takes the lock for a moment. A daemon that starts just then waits longer than that. */
async function holderOf(database: string): Promise<string | null> {
  // A lock file that root, for example, creates would keep Emissary's user from ever taking the lock.
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
