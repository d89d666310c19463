import { readFileSync } from "node:fs";

/** Returns the version in package.json, which lies beside both src and dist. */
export function programVersion(): string {
  const file = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return file.version;
}
