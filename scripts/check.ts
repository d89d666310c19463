/** `npm run check`: types, lint, import directions, samples and format, two at a time. Also the first part of `npm test`. */
import { runTool } from "./tool.ts";

/** The longest first. */
const CHECKS = [
  { name: "lint", script: "eslint/bin/eslint.js", args: [".", "--max-warnings", "0"] },
  { name: "types", script: "typescript/bin/tsc", args: ["--noEmit", "-p", "tsconfig.json"] },
  { name: "types of the test page", script: "typescript/bin/tsc", args: ["--noEmit", "-p", "test/browser/page"] },
  {
    name: "imports",
    script: "dependency-cruiser/bin/dependency-cruiser.mjs",
    args: ["--config", ".dependency-cruiser.cjs", "src"],
  },
  { name: "samples", script: "../scripts/sample.ts", args: ["--check"] },
  { name: "format", script: "prettier/bin/prettier.cjs", args: ["--check", "."] },
] as const;

/** As many as the smallest machine that this is for has cores. */
const AT_ONCE = 2;

/** Each check counts as one test. All are run, also after a failure: one look should show everything there is to do. */
export async function runChecks(log: (line: string) => void): Promise<{ passed: number; failed: number }> {
  let failed = 0;
  const left = CHECKS.values();
  const work = async (): Promise<void> => {
    for (const check of left) {
      const { ok, output, seconds } = await runTool(check.script, check.args);
      if (!ok) {
        failed += 1;
        log(output);
      }
      log(`${ok ? "✓" : "✗"} ${check.name} (${seconds.toFixed(1)} s)`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { passed: CHECKS.length - failed, failed };
}

if (process.argv[1] === import.meta.filename) {
  const { failed } = await runChecks(console.log);
  process.exitCode = failed > 0 ? 1 : 0;
}
