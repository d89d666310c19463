/** Programs in other languages that tests and benchmarks need: compiled once for what is in their folder, and kept in the cache. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { runWithProgress } from "../../scripts/bootstrap/progress.mjs";

/** The compiled program, or why there is none: no compiler, one that is too old, no way to the packages. */
export type Program = { readonly binary: string } | { readonly binary: null; readonly why: string };

export interface Compiler {
  /** What tells its version, which decides, beside the source, what comes out. */
  readonly version: readonly [command: string, ...args: string[]];
  /** What to do where there is none. */
  readonly missing: string;
  /** Folders whose files belong to neither source nor result. */
  readonly ignored?: readonly string[];
  readonly build: (scratch: string) => {
    readonly command: readonly [string, ...string[]];
    readonly env: NodeJS.ProcessEnv;
    /** Where in `scratch` the program is. */
    readonly result: string;
  };
}

/** @param source the program's folder; its last part is the name in the cache */
export async function ensureCompiled(source: string, compiler: Compiler): Promise<Program> {
  const version = await versionOf(source, compiler.version);
  if (version === null) return { binary: null, why: compiler.missing };
  const hash = createHash("sha256").update(version);
  for (const file of filesOf(source, compiler.ignored ?? [])) hash.update(readFileSync(path.join(source, file)));
  const name = path.basename(source);
  const binary = path.join(cacheDirectory(), `${name}-${hash.digest("hex").slice(0, 16)}`);
  try {
    if (!existsSync(binary)) await withLock(`${binary}.lock`, () => compile(source, name, binary, compiler));
    return { binary };
  } catch (error) {
    return { binary: null, why: error instanceof Error ? error.message : String(error) };
  }
}

async function compile(source: string, name: string, binary: string, { build }: Compiler): Promise<void> {
  if (existsSync(binary)) return;
  const scratch = `${binary}.tmp-${process.pid}`;
  const { command, env, result } = build(scratch);
  const [file, ...args] = command;
  try {
    const what = `compiling what runs ${name} (${command.slice(0, 2).join(" ")})`;
    await runWithProgress(what, file, args, { cwd: source, env: { ...process.env, ...env } });
    renameSync(path.join(scratch, result), binary);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function filesOf(source: string, ignored: readonly string[]): string[] {
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(source, path.join(parentPath, name)))
    .filter((file) => !ignored.includes(file.split(path.sep)[0] ?? ""))
    .toSorted();
}

async function versionOf(cwd: string, [command, ...args]: Compiler["version"]): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, timeout: 60_000 });
    return stdout.trim();
  } catch {
    return null;
  }
}
