/** `npm run build`: src → dist. Quick when nothing changed, and dist holds what src stands for and nothing else. */
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { cacheDirectory } from "./bootstrap/cache.mjs";
import { withLock } from "./bootstrap/lock.mjs";
import { ROOT, runTool } from "./tool.ts";

const SRC = path.join(ROOT, "src");
const DIST = path.join(ROOT, "dist");
/** tsc's memory of what it has emitted (tsconfig.build.json). */
const BUILD_INFO = path.join(ROOT, "node_modules", ".cache", "build.tsbuildinfo");

export type BuildResult = { readonly ok: boolean; readonly output: string; readonly seconds: number };

/** Only one process builds at a time: a demo and a test may start at once, and both run what lies in dist. */
export async function build(): Promise<BuildResult> {
  const clone = createHash("sha256").update(ROOT).digest("hex").slice(0, 16);
  return withLock(path.join(cacheDirectory(), `build-${clone}.lock`), async () => {
    const sources = await listFiles(SRC);
    const outputs = new Set(sources.flatMap(outputsOf));
    const existing = new Set(await listFiles(DIST));
    for (const file of existing) if (!outputs.has(file)) await rm(path.join(DIST, file));
    // tsc does not look at dist: a file that was deleted there it would take for emitted.
    if ([...outputs].some((file) => !existing.has(file))) await rm(BUILD_INFO, { force: true });

    const result = await runTool("typescript/bin/tsc", ["-p", "tsconfig.build.json"]);
    for (const file of sources.filter(isAsset)) await copyIfChanged(file);
    return result;
  });
}

/** What stands in dist for a file of src; both relative. */
function outputsOf(source: string): string[] {
  if (source.endsWith(".d.ts")) return [];
  if (isAsset(source)) return [source];
  const stem = source.slice(0, -".ts".length);
  return [`${stem}.js`, `${stem}.js.map`, `${stem}.d.ts`];
}

/** Read by the program as it is: migrations, for one. */
function isAsset(source: string): boolean {
  return !source.endsWith(".ts");
}

async function copyIfChanged(file: string): Promise<void> {
  const [from, to] = [path.join(SRC, file), path.join(DIST, file)];
  const [wanted, present] = await Promise.all([readFile(from), readFile(to).catch(() => undefined)]);
  if (present?.equals(wanted)) return;
  await mkdir(path.dirname(to), { recursive: true });
  await cp(from, to);
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)));
}

if (process.argv[1] === import.meta.filename) {
  const { ok, output, seconds } = await build();
  if (output !== "") console.log(output);
  console.log(`${ok ? "✓ built" : "✗ did not build"} dist (${seconds.toFixed(1)} s)`);
  process.exitCode = ok ? 0 : 1;
}
