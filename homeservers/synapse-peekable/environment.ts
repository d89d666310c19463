/**
 * The Python environment with the patched Synapse in it. The wheel is built once (build.py, about two minutes), kept in the cache
 * and shared by all clones whose patch is the same. Its environment holds nothing but that wheel; everything else comes from the
 * environment of the stock Synapse, so that the two differ in the patch only.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { runWithProgress, say } from "../../scripts/bootstrap/progress.mjs";
import { ensureSynapse } from "../synapse/environment.ts";
import type { Log } from "../synapse/environment.ts";
import { SynapseUnavailable } from "../synapse/python.ts";

const HERE = import.meta.dirname;
/** Beside them, nothing decides what is in the wheel. */
const INGREDIENTS = ["build.py", "edits.py", "msc1777.py", "sdist.txt", "build-requirements.txt"] as const;
/** What the crates of Synapse's Cargo.lock ask for. */
const OLDEST_CARGO = { major: 1, minor: 85 };
const INSTALL_CARGO = "Install Rust: https://rustup.rs, or on Debian 13 and newer: apt install cargo";

/**
 * Path of a Python that runs the patched Synapse. Quick when there is one.
 *
 * @throws {SynapseUnavailable} where this machine lacks Python or Rust
 */
export async function ensurePeekableSynapse(options: { log?: Log } = {}): Promise<{ python: string }> {
  const log = options.log ?? say;
  const { python: stock } = await ensureSynapse({ log });
  const wheelHome = path.join(cacheDirectory(), `synapse-peekable-wheel-${await fingerprint()}`);
  const home = path.join(cacheDirectory(), `synapse-peekable-${await fingerprint(stock)}`);
  if (await runs(home)) return { python: pythonOf(home) };
  return withLock(
    `${wheelHome}.lock`,
    async () => {
      if (await runs(home)) return { python: pythonOf(home) };
      const wheel = (await findWheel(wheelHome)) ?? (await buildWheel(wheelHome, stock, log));
      await makeEnvironment(home, stock, wheel, log);
      if (!(await runs(home)))
        throw new Error(`The patched Synapse was installed into ${home} but does not start there.`);
      return { python: pythonOf(home) };
    },
    log,
  );
}

async function fingerprint(stock = ""): Promise<string> {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${stock}\n`);
  for (const file of INGREDIENTS) hash.update(await readFile(path.join(HERE, file)));
  return hash.digest("hex").slice(0, 16);
}

async function buildWheel(home: string, python: string, log: Log): Promise<string> {
  await requireCargo();
  // What a build that was killed left behind, and may still write into: build.py has a folder of its own in it, and puts the wheel
  // itself in place by a rename.
  await rm(home, { recursive: true, force: true }).catch(() => undefined);
  const args = ["-B", path.join(HERE, "build.py"), "--output", home];
  await runWithProgress("building the patched Synapse (about two minutes)", python, args, { log });
  const wheel = await findWheel(home);
  if (wheel === undefined) throw new Error(`build.py left no wheel in ${home}.`);
  return wheel;
}

async function findWheel(home: string): Promise<string | undefined> {
  const names: string[] = await readdir(home).catch(() => []);
  const wheel = names.find((name) => name.endsWith(".whl"));
  return wheel === undefined ? undefined : path.join(home, wheel);
}

/**
 * The environment stays where it is made, and counts only if Synapse can be imported from it: one half made is made anew. What
 * is in it comes before what `stock.pth` adds.
 */
async function makeEnvironment(home: string, stock: string, wheel: string, log: Log): Promise<void> {
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
  await mkdir(home, { recursive: true });
  const environment = path.join(home, "env");
  await runWithProgress("making its Python environment", stock, ["-m", "venv", "--without-pip", environment], { log });
  const stockPackages = await packagesOf(stock);
  const packages = await packagesOf(pythonOf(home));
  // --target, since pip would take the stock Synapse that stock.pth brings for the wanted one.
  const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-index", "--target", packages];
  await runWithProgress("installing it", stock, [...pip, wheel], { log });
  const scratch = path.join(packages, "stock.tmp");
  await writeFile(scratch, `${stockPackages}\n`);
  await rename(scratch, path.join(packages, "stock.pth"));
}

async function packagesOf(python: string): Promise<string> {
  const packages = await ask(python, ["-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]);
  if (packages === undefined) throw new Error(`${python} does not run.`);
  return packages;
}

/** Imports what starting a server imports first, and asks for the room version. */
async function runs(home: string): Promise<boolean> {
  if (!existsSync(pythonOf(home))) return false;
  const program = [
    "import synapse.msc1777, twisted.internet.reactor, synapse.config.homeserver",
    "from synapse.api.room_versions import KNOWN_ROOM_VERSIONS",
    "print(KNOWN_ROOM_VERSIONS['org.matrix.msc1777.12'].msc1777_peekable_join_rule)",
  ].join("\n");
  return (await ask(pythonOf(home), ["-c", program])) === "True";
}

async function requireCargo(): Promise<void> {
  const answer = await ask("cargo", ["--version"]);
  const [, major = "0", minor = "0"] = /^cargo (\d+)\.(\d+)/.exec(answer ?? "") ?? [];
  if (Number(major) > OLDEST_CARGO.major) return;
  if (Number(major) === OLDEST_CARGO.major && Number(minor) >= OLDEST_CARGO.minor) return;
  const found = answer === undefined ? "there is no `cargo` command" : `this is ${answer}`;
  const needed = `${OLDEST_CARGO.major}.${OLDEST_CARGO.minor}`;
  throw new SynapseUnavailable(`The patched Synapse needs cargo ${needed} or newer, and ${found}. ${INSTALL_CARGO}.`);
}

/** What a command prints; undefined where it is missing or fails. */
function ask(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 60_000 }, (error, stdout) => resolve(error ? undefined : stdout.trim()));
  });
}

function pythonOf(home: string): string {
  return path.join(home, "env", "bin", "python");
}
