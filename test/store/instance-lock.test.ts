import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import DatabaseConstructor from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { EmissaryError } from "../../src/model/errors.ts";
import { takeInstanceLock, type InstanceLock } from "../../src/storage/instance-lock.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { START } from "../support/clock.ts";

const RUN = { command: "emissary run", since: START };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "emissary-lock-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function take(path: string): InstanceLock {
  const lock = takeInstanceLock(path, RUN);
  onTestFinished(() => lock.release());
  return lock;
}

function refusal(path: string): string {
  try {
    take(path);
  } catch (error) {
    if (error instanceof EmissaryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "taken";
}

test("a second one is refused by name, until the first lets go", () => {
  const path = join(folder(), "emissary.db");
  const lock = take(path);
  const said = refusal(path);
  expect(said).toContain(`in-use: The database ${path} is in use by \`emissary run\`, process ${process.pid}`);
  expect(said).toContain(`on ${hostname()}, since 2026-01-01T00:00:00.000Z`);
  // Being asked does not loosen it.
  expect(refusal(path)).toBe(said);
  lock.release();
  expect(refusal(path)).toBe("taken");
});

test("the database itself stays open to readers, and nothing of it is touched", () => {
  const path = join(folder(), "emissary.db");
  take(path);
  expect(readdirSync(join(path, ".."))).toEqual(["emissary.db.lock"]);
  expect(statSync(`${path}.lock`).mode & 0o777).toBe(0o600);
  const storage = new SqliteStorage(path);
  onTestFinished(() => storage.close());
  const reader = new DatabaseConstructor(path, { readonly: true });
  onTestFinished(() => void reader.close());
  expect(reader.prepare("SELECT count(*) FROM rooms").pluck().get()).toBe(0);
});

test("one file by two names has one lock, two files have two", () => {
  const dir = folder();
  const path = join(dir, "emissary.db");
  writeFileSync(path, "");
  symlinkSync(path, join(dir, "other-name.db"));
  take(path);
  expect(refusal(join(dir, "other-name.db"))).toContain("in-use");
  expect(refusal(join(dir, "another.db"))).toBe("taken");
});

test("what a killed process held is free at once", async () => {
  const path = join(folder(), "emissary.db");
  const module = new URL("../../src/storage/instance-lock.ts", import.meta.url).href;
  const script = `
    const { takeInstanceLock } = await import(${JSON.stringify(module)});
    globalThis.lock = takeInstanceLock(${JSON.stringify(path)}, { command: "emissary run", since: 0 });
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--no-warnings", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  expect(refusal(path)).toContain(`process ${String(child.pid)} on`);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(refusal(path)).toBe("taken");
});

test("a file that is no lock, or no folder, is named with the way out", () => {
  const dir = folder();
  writeFileSync(join(dir, "emissary.db.lock"), "something else entirely, ".repeat(100));
  expect(refusal(join(dir, "emissary.db"))).toMatch(/^bad-config: .*emissary\.db\.lock, if it is there, is Emissary's/);
  expect(refusal(join(dir, "missing", "emissary.db"))).toContain(`Check that ${join(dir, "missing")} exists`);
});

test("in memory there is nothing to lock", () => {
  take(":memory:");
  expect(refusal(":memory:")).toBe("taken");
});
