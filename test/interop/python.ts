/**
 * The Python environment of the programs that are run as they are released. It is apart from that of Synapse, since heisenbridge
 * wants another mautrix. Made once, and kept in the cache.
 */
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { findPython } from "../../homeservers/synapse/python.ts";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { runWithProgress } from "../../scripts/bootstrap/progress.mjs";

const REQUIREMENTS = path.join(import.meta.dirname, "requirements.txt");

export type ProgramsPython = { readonly python: string } | { readonly python: null; readonly why: string };

export async function ensureProgramsPython(): Promise<ProgramsPython> {
  try {
    const base = await findPython();
    const hash = createHash("sha256").update(`${await readFile(REQUIREMENTS, "utf8")}\n${base.version}`);
    const home = path.join(cacheDirectory(), `interop-${hash.digest("hex").slice(0, 16)}`);
    const existing = await findComplete(home);
    if (existing !== undefined) return { python: existing };
    return await withLock(`${home}.lock`, async () => {
      const python = (await findComplete(home)) ?? (await build(home, base.command));
      return { python };
    });
  } catch (error) {
    return { python: null, why: error instanceof Error ? error.message : String(error) };
  }
}

/** An environment cannot be moved: it is made where it stays, and counts once `complete` names it. */
async function build(home: string, python: string): Promise<string> {
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
  await mkdir(home, { recursive: true });
  const name = `env-${randomUUID().slice(0, 8)}`;
  await runWithProgress("making the Python environment of the interop tests", python, [
    ...["-m", "venv", path.join(home, name)],
  ]);
  const pip = [
    "-m",
    "pip",
    "install",
    "--disable-pip-version-check",
    "--require-hashes",
    "--requirement",
    REQUIREMENTS,
  ];
  await runWithProgress("installing heisenbridge, matrix-nio and simplematrixbotlib", pythonOf(home, name), pip);
  await writeFile(path.join(home, "complete.tmp"), name);
  await rename(path.join(home, "complete.tmp"), path.join(home, "complete"));
  const complete = await findComplete(home);
  if (complete === undefined) throw new Error(`what was installed into ${home} does not start there`);
  return complete;
}

async function findComplete(home: string): Promise<string | undefined> {
  const name = await readFile(path.join(home, "complete"), "utf8").catch(() => undefined);
  if (name === undefined || !existsSync(pythonOf(home, name))) return undefined;
  const python = pythonOf(home, name);
  const imports = ["-c", "import heisenbridge.__main__, nio, simplematrixbotlib"];
  return promisify(execFile)(python, imports, { timeout: 60_000 }).then(
    () => python,
    () => undefined,
  );
}

function pythonOf(home: string, name: string): string {
  return path.join(home, name, "bin", "python");
}
