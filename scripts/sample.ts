/**
 * `npm run sample`: writes config.sample.yaml, registration.yaml, packaging/proxy and the generated parts of docs/reference
 * from the code. With `--check` it writes nothing, names the files that differ and exits with 1.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { actPage } from "./act-page.ts";
import { boundsPage } from "./bounds-page.ts";
import { adminPage } from "./admin-page.ts";
import { cliPage } from "./cli-page.ts";
import { configPage } from "./config-page.ts";
import { peekPage } from "./peek-page.ts";
import { proxySnippets } from "./proxy-snippets.ts";
import { ENDPOINTS } from "../src/tenants/act/routes.ts";
import { PEEK_ENDPOINTS } from "../src/peek/routes.ts";
import { sampleConfig, sampleRegistration } from "./config-sample.ts";

const CLI_PAGE = "docs/reference/cli.md";
const ACT_PAGE = "docs/reference/act-api.md";
const CONFIG_PAGE = "docs/reference/config.md";
const BOUNDS_PAGE = "docs/reference/bounds.md";
const ADMIN_PAGE = "docs/reference/admin-api.md";
const PEEK_PAGE = "docs/reference/peek-api.md";
const samples = {
  "config.sample.yaml": sampleConfig(),
  "registration.yaml": sampleRegistration(),
  [CLI_PAGE]: cliPage(current(pathOf(CLI_PAGE)) ?? ""),
  [ACT_PAGE]: actPage(current(pathOf(ACT_PAGE)) ?? "", ENDPOINTS),
  [BOUNDS_PAGE]: boundsPage(current(pathOf(BOUNDS_PAGE)) ?? ""),
  [ADMIN_PAGE]: adminPage(current(pathOf(ADMIN_PAGE)) ?? ""),
  [PEEK_PAGE]: peekPage(current(pathOf(PEEK_PAGE)) ?? "", PEEK_ENDPOINTS),
  [CONFIG_PAGE]: configPage(current(pathOf(CONFIG_PAGE)) ?? ""),
  ...proxySnippets(),
};
const checkOnly = process.argv.includes("--check");

for (const [name, text] of Object.entries(samples)) {
  const path = pathOf(name);
  if (current(path) === text) continue;
  if (checkOnly) {
    console.error(`${name} differs from what the code generates: run "npm run sample" and commit it.`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    console.log(`wrote ${name}`);
  }
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../${name}`, import.meta.url));
}

function current(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
