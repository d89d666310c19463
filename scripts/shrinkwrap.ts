/**
 * Writes npm-shrinkwrap.json, by which whoever installs the published package gets the versions that it was tested with: of the lock
 * file what the program runs with. It is there only while the package is packed (`--remove` takes it away), for npm would install from it
 * here, too.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./tool.ts";

interface Lock {
  readonly packages: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const FILE = path.join(ROOT, "npm-shrinkwrap.json");

/** The lock of the program alone. Where a package is to be had the installing npm knows; what it is to be, `integrity` says. */
export function shrinkwrapOf(lock: Lock): Lock {
  const packages = Object.entries(lock.packages)
    .filter(([, { dev, link }]) => dev !== true && link !== true)
    .map(([where, entry]) => [where, without(entry, where === "" ? ["devDependencies"] : ["resolved"])] as const);
  return { ...lock, packages: Object.fromEntries(packages) };
}

function without(entry: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => !names.includes(name)));
}

if (import.meta.main) {
  if (process.argv.includes("--remove")) rmSync(FILE, { force: true });
  else {
    const lock = JSON.parse(readFileSync(path.join(ROOT, "package-lock.json"), "utf8")) as Lock;
    writeFileSync(FILE, `${JSON.stringify(shrinkwrapOf(lock), null, 2)}\n`);
  }
}
