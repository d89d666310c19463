import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "emissary-package-"));
  const run = (command: string, args: readonly string[], cwd: string): string =>
    execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  // --ignore-scripts: the suite has built dist already.
  const packed = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", dir], ROOT)) as [
    { filename: string },
  ];
  writeFileSync(join(dir, "package.json"), JSON.stringify({ name: "operator", private: true }));
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", join(dir, packed[0].filename)], dir);
}, 120_000);
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
      import { SqliteStorage } from "./node_modules/matrix-emissary/dist/storage/sqlite/storage.js";
      new SqliteStorage("fresh.db").close();
      console.log(typeof (await import("matrix-emissary")).App);
    `;
    const node = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: dir,
      encoding: "utf8",
    });
    expect(node.trim()).toBe("function");
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
