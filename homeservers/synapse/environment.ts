/**
 * The Python environment with Synapse in it: made once, kept in the cache, and shared by all clones that pin the same.
 *
 * A Python environment cannot be moved, so it is built where it stays, in a directory of its own: a pip whose starter
 * was killed may go on for a while, and must not write into what the next one builds. The file `complete`, written
 * last, says which directory counts, and even that one is believed only if Synapse can be imported from it.
 */
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { runWithProgress, say } from "../../scripts/bootstrap/progress.mjs";
import { findPython } from "./python.ts";
import type { Python } from "./python.ts";

const REQUIREMENTS = path.join(import.meta.dirname, "requirements.txt");
const COMPLETE = "complete";

export type Log = (line: string) => void;

/** Path of a Python that can run Synapse. Quick when there is one; else says what it does and takes about a minute. */
export async function ensureSynapse(options: { log?: Log } = {}): Promise<{ python: string }> {
  const log = options.log ?? say;
  const base = await findPython();
  const requirements = await readFile(REQUIREMENTS, "utf8");
  const version = /^matrix-synapse==(\S+)$/m.exec(requirements)?.[1];
  if (version === undefined) throw new Error(`${REQUIREMENTS} does not pin matrix-synapse.`);

  const fingerprint = createHash("sha256").update(`${requirements}\n${base.version}`).digest("hex").slice(0, 16);
  const home = path.join(cacheDirectory(), `synapse-${fingerprint}`);
  const existing = await findComplete(home, version);
  if (existing !== undefined) return { python: existing };
  return withLock(
    `${home}.lock`,
    async () => {
      const builtMeanwhile = await findComplete(home, version);
      if (builtMeanwhile !== undefined) return { python: builtMeanwhile };
      if (existsSync(home)) log(`the cached Synapse is incomplete or broken, so it is built anew: ${home}`);
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
      await build(home, base, version, log);
      const python = await findComplete(home, version);
      if (python === undefined)
        throw new Error(`Synapse ${version} was installed into ${home} but does not start there.`);
      return { python };
    },
    log,
  );
}

async function build(home: string, base: Python, version: string, log: Log): Promise<void> {
  const name = `env-${randomUUID().slice(0, 8)}`;
  const environment = path.join(home, name);
  await mkdir(home, { recursive: true });
  await runWithProgress(`making a Python ${base.version} environment`, base.command, ["-m", "venv", environment], {
    log,
  });
  const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--requirement", REQUIREMENTS];
  await runWithProgress(`installing Synapse ${version} (pip install)`, pythonOf(environment), pip, { log });
  const scratch = path.join(home, `${name}.complete`);
  await writeFile(scratch, name);
  await rename(scratch, path.join(home, COMPLETE));
}

/**
 * Imports what starting a server imports first, so that a package that lost files is noticed here and not halfway
 * through a start.
 */
async function findComplete(home: string, version: string): Promise<string | undefined> {
  const name = await readFile(path.join(home, COMPLETE), "utf8").catch(() => undefined);
  if (name === undefined) return undefined;
  const python = pythonOf(path.join(home, name));
  const program = "import synapse, twisted.internet.reactor, synapse.config.homeserver; print(synapse.__version__)";
  return new Promise((resolve) => {
    execFile(python, ["-c", program], { timeout: 60_000 }, (error, stdout) => {
      resolve(!error && stdout.trim() === version ? python : undefined);
    });
  });
}

function pythonOf(environment: string): string {
  return path.join(environment, "bin", "python");
}
