/**
 * `npm run sample`: writes config.sample.yaml and registration.yaml from the code. With `--check` it writes nothing, names
 * those that differ and exits with 1.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sampleConfig, sampleRegistration } from "../src/platform/config/sample.ts";

const samples = { "config.sample.yaml": sampleConfig(), "registration.yaml": sampleRegistration() };
const checkOnly = process.argv.includes("--check");

for (const [name, text] of Object.entries(samples)) {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
  if (current(path) === text) continue;
  if (checkOnly) {
    console.error(`${name} differs from what the code generates: run "npm run sample" and commit it.`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    console.log(`wrote ${name}`);
  }
}

function current(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
