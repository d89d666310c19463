/** Programs that tests need and no npm package has: the machine's own, or unpacked from their Debian package into the cache. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";

const run = promisify(execFile);
const APT_MS = 180_000;

/** `env` is what it needs beside the environment of its starter. */
export type DebianProgram =
  { readonly binary: string; readonly env: NodeJS.ProcessEnv } | { readonly binary: null; readonly why: string };

export interface Wanted {
  readonly name: string;
  /** Where the package has it. */
  readonly file: string;
  /** Arguments with which it shows that it starts. */
  readonly trial: readonly string[];
  /** Packages with libraries that it needs and no machine is sure to have. */
  readonly libraries?: readonly string[];
  /** Whether every package that it depends on and this machine has not comes along: for programs with more libraries than can be listed. */
  readonly dependencies?: true;
}

/**
 * The program, or why there is none, with how to get it. Unpacked and not installed: no service starts, no file of the system
 * changes, and where the lists of packages are there it takes no root.
 */
export async function ensureDebianProgram(wanted: Wanted): Promise<DebianProgram> {
  for (const candidate of [wanted.name, path.join("/usr/sbin", wanted.name)]) {
    if (await starts(candidate, wanted)) return { binary: candidate, env: {} };
  }
  const home = path.join(cacheDirectory(), `debian-${wanted.name}`);
  const binary = path.join(home, wanted.file);
  try {
    if (!(await starts(binary, wanted, home))) await withLock(`${home}.lock`, () => unpack(wanted, home, binary));
    return { binary, env: await librariesIn(home) };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return { binary: null, why: `apt install ${wanted.name}; it could not be had without: ${cause.trim()}` };
  }
}

async function unpack(wanted: Wanted, home: string, binary: string): Promise<void> {
  if (await starts(binary, wanted, home)) return;
  await mkdir(path.dirname(home), { recursive: true });
  const scratch = await mkdtemp(`${home}.tmp-`);
  try {
    const names = await download(wanted, scratch);
    const archives = (await readdir(scratch)).filter((file) => file.endsWith(".deb"));
    if (archives.length < names.length) throw new Error(`apt-get download ${names.join(" ")} brought too little`);
    const unpacked = path.join(scratch, "unpacked");
    for (const archive of archives) {
      await run("dpkg", ["-x", path.join(scratch, archive), unpacked], { timeout: APT_MS });
    }
    await rm(home, { recursive: true, force: true });
    await rename(unpacked, home);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  if (!(await starts(binary, wanted, home))) throw new Error(`the ${wanted.name} of the Debian package does not start`);
}

/** Brings the archives into the folder, and answers with the packages that they are of. */
async function download(wanted: Wanted, folder: string): Promise<readonly string[]> {
  const options = { cwd: folder, timeout: APT_MS, env: { ...process.env, LC_ALL: "C" } };
  const bring = async (): Promise<readonly string[]> => {
    const { stdout } =
      wanted.dependencies === true
        ? await run("apt-get", ["install", "--simulate", "--no-install-recommends", wanted.name], options)
        : { stdout: "" };
    const names = [...new Set([wanted.name, ...(wanted.libraries ?? []), ...newPackages(stdout)])];
    await run("apt-get", ["download", ...names], options);
    return names;
  };
  try {
    return await bring();
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    await run("apt-get", ["update"], options);
    return bring();
  }
}

/** `Inst NAME (VERSION …)`. One with a `[VERSION]` between is here already, in an older version: the system's own is what the rest of it fits. */
function newPackages(simulated: string): string[] {
  return [...simulated.matchAll(/^Inst (\S+) \(/gm)].map(([, name = ""]) => name);
}

async function starts(binary: string, { trial }: Wanted, home?: string): Promise<boolean> {
  if (path.isAbsolute(binary) && !existsSync(binary)) return false;
  const env = { ...process.env, ...(home === undefined ? {} : await librariesIn(home)) };
  return run(binary, [...trial], { timeout: 20_000, env }).then(
    () => true,
    () => false,
  );
}

/** Where the linker finds what was unpacked beside the program: `usr/lib/x86_64-linux-gnu` and its like. */
async function librariesIn(home: string): Promise<NodeJS.ProcessEnv> {
  const folder = path.join(home, "usr", "lib");
  const inside = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const multiarch = inside.filter((entry) => entry.isDirectory() && entry.name.endsWith("-linux-gnu"));
  if (multiarch.length === 0) return {};
  const known = process.env["LD_LIBRARY_PATH"];
  // PulseAudio's has one of its own beside them, which it names by an absolute path.
  const folders = multiarch.flatMap(({ name }) => [path.join(folder, name), path.join(folder, name, "pulseaudio")]);
  return { LD_LIBRARY_PATH: [...folders, ...(known === undefined ? [] : [known])].join(":") };
}
