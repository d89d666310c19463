import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly dependencies?: Readonly<Record<string, string>> }>
  >;
}

let dir: string;

const runFile = promisify(execFile);

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return (await runFile(command, args, { cwd, encoding: "utf8" })).stdout;
}

/** Packs as publishing does. --ignore-scripts: the suite has built dist already. */
async function pack(): Promise<string> {
  const shrinkwrap = (...args: string[]) => run(process.execPath, ["scripts/shrinkwrap.ts", ...args], ROOT);
  await shrinkwrap();
  try {
    const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", dir], ROOT);
    return join(dir, (JSON.parse(packed) as [{ filename: string }])[0].filename);
  } finally {
    await shrinkwrap("--remove");
  }
}

/** A registry that has our package, marked as registries mark one with a shrinkwrap, and sends on whoever asks for others. */
async function registryWith(tarball: string): Promise<Server> {
  const others = (await run("npm", ["config", "get", "registry"], ROOT)).trim().replace(/\/$/, "");
  const file = readFileSync(tarball);
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { name: string; version: string };
  const { name, version } = manifest;
  const server = createServer((request, response) => {
    const url = request.url ?? "";
    if (url === `/${name}.tgz`) response.end(file);
    else if (url !== `/${name}`) response.writeHead(302, { location: `${others}${url}` }).end();
    else {
      const integrity = `sha512-${createHash("sha512").update(file).digest("base64")}`;
      const dist = { tarball: `http://${request.headers.host ?? ""}/${name}.tgz`, integrity };
      const versions = { [version]: { ...manifest, _hasShrinkwrap: true, dist } };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ name, "dist-tags": { latest: version }, versions }));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "emissary-package-"));
  const registry = await registryWith(await pack());
  const { port } = registry.address() as AddressInfo;
  writeFileSync(join(dir, "package.json"), JSON.stringify({ name: "operator", private: true }));
  const from = ["--registry", `http://127.0.0.1:${port}`, "--prefer-online"];
  await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...from, "matrix-emissary"], dir);
  registry.close();
}, 180_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("the published package, installed by somebody", () => {
  const emissary = (...args: string[]): string =>
    execFileSync(join(dir, "node_modules/.bin/emissary"), args, { cwd: dir, encoding: "utf8" });

  it("has a command that runs", () => {
    expect(emissary("--version").trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it("brings what the command needs: migrations, samples, and nothing to be compiled", () => {
    expect(emissary("register", "--help")).toContain("--homeserver-url");
    const registered = ["--homeserver-url", "http://127.0.0.1:8008", "--server-name", "example.org"];
    emissary("register", ...registered, "--url", "http://127.0.0.1:9009", "--dir", dir);
    const script = `
      import { SqliteStorage } from "./node_modules/matrix-emissary/dist/app/stores.js";
      new SqliteStorage("fresh.db").close();
      console.log(typeof (await import("matrix-emissary")).App);
    `;
    const node = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: dir,
      encoding: "utf8",
    });
    expect(node.trim()).toBe("function");
  });

  it("comes with exactly the packages that it was tested with, and says nothing of where they are had", () => {
    const own = join(dir, "node_modules/matrix-emissary");
    const text = readFileSync(join(own, "npm-shrinkwrap.json"), "utf8");
    expect(text).not.toMatch(/"resolved"|\.tgz/);
    const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as Lock;
    const installed = (JSON.parse(readFileSync(join(dir, "node_modules/.package-lock.json"), "utf8")) as Lock).packages;
    const prefix = "node_modules/matrix-emissary/";
    const versions = Object.entries(installed)
      .filter(([where]) => where.startsWith(prefix))
      .map(([where, { version }]) => [where.slice(prefix.length), version]);
    const direct = Object.keys(lock.packages[""]?.dependencies ?? {}).map((name) => `node_modules/${name}`);
    expect(versions.map(([where]) => where)).toEqual(expect.arrayContaining(direct));
    for (const [where, version] of versions) {
      expect([where, version]).toEqual([where, lock.packages[where ?? ""]?.version]);
      const manifest = JSON.parse(readFileSync(join(own, where ?? "", "package.json"), "utf8")) as { version: string };
      expect([where, manifest.version]).toEqual([where, version]);
    }
    // Beside it lies nothing that npm would have chosen itself.
    expect(Object.keys(installed).filter((where) => !where.startsWith(prefix))).toEqual([
      "node_modules/matrix-emissary",
    ]);
  });

  it("judges memberships by the rules of MSC1777, as the test vectors that come with it want", () => {
    const script = `
      import { readFileSync } from "node:fs";
      import { mayBecomeMember } from "matrix-emissary/auth";
      const vectors = JSON.parse(readFileSync("node_modules/matrix-emissary/vectors/msc1777/vouchers.json", "utf8"));
      const wrong = vectors.filter((vector) => mayBecomeMember(vector).allowed !== (vector.expect === "allow"));
      console.log(vectors.length > 0, wrong.length);
    `;
    const node = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: dir,
      encoding: "utf8",
    });
    expect(node.trim()).toBe("true 0");
  });
});
