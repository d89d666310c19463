/** The peer in Go: compiled once for what is in its folder, and kept in the cache. */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { cacheDirectory } from "../../scripts/bootstrap/cache.mjs";
import { withLock } from "../../scripts/bootstrap/lock.mjs";
import { runWithProgress } from "../../scripts/bootstrap/progress.mjs";
import { AS_TOKEN, HS_TOKEN, SERVER } from "./homeserver.ts";
import { failure, Subject } from "./subject.ts";

const SOURCE = path.join(import.meta.dirname, "peers/mautrix-go");

/** The compiled program, or why there is none: no Go, one that is too old, no way to the modules. */
export type MautrixGo = { readonly binary: string } | { readonly binary: null; readonly why: string };

export async function ensureMautrixGo(): Promise<MautrixGo> {
  const version = await goVersion();
  if (version === null) {
    return { binary: null, why: "there is no `go` command. Install Go 1.26 or newer (https://go.dev/dl/)" };
  }
  const hash = createHash("sha256").update(version);
  for (const file of readdirSync(SOURCE).toSorted()) hash.update(readFileSync(path.join(SOURCE, file)));
  const binary = path.join(cacheDirectory(), `mautrix-go-${hash.digest("hex").slice(0, 16)}`);
  try {
    if (!existsSync(binary)) await withLock(`${binary}.lock`, () => compile(binary));
    return { binary };
  } catch (error) {
    return { binary: null, why: error instanceof Error ? error.message : String(error) };
  }
}

async function compile(binary: string): Promise<void> {
  if (existsSync(binary)) return;
  const scratch = `${binary}.tmp-${process.pid}`;
  // Without cgo: neither a C compiler nor libolm is needed.
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" };
  const args = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", scratch, "."];
  try {
    await runWithProgress("compiling the peer with mautrix-go (go build)", "go", args, { cwd: SOURCE, env });
    renameSync(scratch, binary);
  } finally {
    rmSync(scratch, { force: true });
  }
}

export async function startMautrixGo(binary: string, folder: string, homeserverUrl: string): Promise<Subject> {
  const name = "mautrix-go";
  const registration = path.join(folder, "mautrix-go.json");
  const content = {
    id: "peer",
    url: null,
    as_token: AS_TOKEN,
    hs_token: HS_TOKEN,
    sender_localpart: "_peer",
    namespaces: { users: [{ exclusive: true, regex: `@_peer_.*:${SERVER}` }], rooms: [], aliases: [] },
  };
  writeFileSync(registration, JSON.stringify(content), { mode: 0o600 });
  // Its input stays open: it ends when we do.
  const child = spawn(binary, ["-homeserver", homeserverUrl, "-server", SERVER, "-registration", registration], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ready = new Promise<Subject>((resolve) => {
    createInterface({ input: child.stdout }).once("line", (line) => {
      const { port } = JSON.parse(line) as { port: number };
      resolve(new Subject(name, child, port));
    });
  });
  return Promise.race([ready, failure(child, name)]);
}

/** What decides, beside the source, what comes out. */
async function goVersion(): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("go", ["version"], { cwd: SOURCE, timeout: 60_000 });
    return stdout.trim();
  } catch {
    return null;
  }
}
