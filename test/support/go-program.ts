/** Programs in Go that tests and benchmarks need: compiled once for what is in their folder, and kept in the cache. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { runWithProgress } from "../../scripts/bootstrap/progress.mjs";

/** The compiled program, or why there is none: no Go, one that is too old, no way to the modules. */
export type GoProgram = { readonly binary: string } | { readonly binary: null; readonly why: string };

/** @param source the folder with its `go.mod`; its last part is the program's name in the cache */
export async function ensureGoProgram(source: string): Promise<GoProgram> {
  const version = await goVersion(source);
  if (version === null) {
    return { binary: null, why: "there is no `go` command. Install Go 1.26 or newer (https://go.dev/dl/)" };
  }
  const hash = createHash("sha256").update(version);
  for (const file of readdirSync(source).toSorted()) hash.update(readFileSync(path.join(source, file)));
  const name = path.basename(source);
  const binary = path.join(cacheDirectory(), `${name}-${hash.digest("hex").slice(0, 16)}`);
  try {
    if (!existsSync(binary)) await withLock(`${binary}.lock`, () => compile(source, name, binary));
    return { binary };
  } catch (error) {
    return { binary: null, why: error instanceof Error ? error.message : String(error) };
  }
}

async function compile(source: string, name: string, binary: string): Promise<void> {
  if (existsSync(binary)) return;
  const scratch = `${binary}.tmp-${process.pid}`;
  // Without cgo: neither a C compiler nor libolm is needed.
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" };
  const args = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", scratch, "."];
  try {
    await runWithProgress(`compiling what runs ${name} (go build)`, "go", args, { cwd: source, env });
    renameSync(scratch, binary);
  } finally {
    rmSync(scratch, { force: true });
  }
}

/** What decides, beside the source, what comes out. */
async function goVersion(source: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("go", ["version"], { cwd: source, timeout: 60_000 });
    return stdout.trim();
  } catch {
    return null;
  }
}
