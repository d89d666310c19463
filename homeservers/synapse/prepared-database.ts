/**
 * A database in which a Synapse has made its tables and done its background updates, before any room or user: a new server begins
 * with a copy of it. It holds nothing of the server that made it, and is kept beside that Python's Synapse.
 */
import Database from "better-sqlite3";
import { existsSync } from "node:fs";
import { copyFile, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { preparedDatabase } from "./config.ts";
import { Synapse } from "./synapse.ts";

const UPDATES_MS = 180_000;
/** Nobody else waits. */
const AT_ONCE = { background_updates: { sleep_enabled: false } };

/** Makes it, unless it is there. */
export async function prepareDatabase(python: string): Promise<void> {
  const prepared = preparedDatabase(python);
  if (existsSync(prepared)) return;
  await withLock(`${prepared}.lock`, async () => {
    if (existsSync(prepared)) return;
    const dir = await mkdtemp(path.join(tmpdir(), "emissary-prepared-"));
    try {
      await makeIn(dir, python);
      // Beside its place first: /tmp may be on another disk, and what has the name is whole.
      await copyFile(path.join(dir, "prepared.db"), `${prepared}.new`);
      await rename(`${prepared}.new`, prepared);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
}

async function makeIn(dir: string, python: string): Promise<void> {
  const synapse = await Synapse.start({ python, dir, settings: AT_ONCE });
  try {
    const database = new Database(path.join(dir, "hs.db"), { readonly: true });
    try {
      const left = database.prepare<[], { left: number }>("SELECT count(*) AS left FROM background_updates");
      const deadline = performance.now() + UPDATES_MS;
      while (left.get()?.left !== 0) {
        if (performance.now() > deadline) throw new Error("Synapse does not end its background updates.");
        await sleep(100);
      }
    } finally {
      database.close();
    }
  } finally {
    await synapse.stop();
  }
  const database = new Database(path.join(dir, "hs.db"));
  database.prepare("VACUUM INTO ?").run(path.join(dir, "prepared.db"));
  database.close();
}
