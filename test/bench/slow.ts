/**
 * `npm run bench:slow`: how much slower another tenant's send and join and a user's look are while somebody is slow on purpose, beside
 * what they take in the same run before. The ratios count, not the figures; the goal is 2.
 */
import { spawnSync } from "node:child_process";
import path from "node:path";

const vitest = path.join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs");
const args = ["run", "--project", "service", "test/service/slow-callers.test.ts", "--reporter", "dot"];
const { status } = spawnSync(process.execPath, [vitest, ...args], {
  stdio: "inherit",
  env: { ...process.env, EMISSARY_SLOW_ROUNDS: "200" },
});
process.exitCode = status ?? 1;
