/** Runs one vitest project and counts. The counts come from a file: what is printed is for people. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { onStopRequest } from "./bootstrap/signals.mjs";
import { ROOT } from "./tool.ts";

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number };

/** The parts of vitest's JSON report that we read. */
type Report = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
};

/** @param files of the project that are run; all of them where none is named. */
export async function runSuite(
  project: string,
  env: NodeJS.ProcessEnv,
  log: (line: string) => void,
  files: readonly string[] = [],
): Promise<Counts> {
  const scratch = await mkdtemp(path.join(tmpdir(), "emissary-test-"));
  const reportFile = path.join(scratch, "report.json");
  try {
    const end = await runVitest(
      [
        "run",
        ...files,
        "--project",
        project,
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${reportFile}`,
      ],
      env,
    );
    return count(project, end, await readReport(reportFile), log);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function count(project: string, end: string, report: Report | undefined, log: (line: string) => void): Counts {
  if (report === undefined) {
    log(`✗ ${project}: vitest ended (${end}) without a report; that counts as one failure`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A file that cannot be loaded has no tests that could fail.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  if (counts.failed > 0) return counts;
  if (counts.passed === 0) {
    log(`✗ ${project}: no test was run (vitest ended with ${end}); that counts as a failure`);
    return { ...counts, failed: 1 };
  }
  if (end !== "exit code 0") {
    log(
      `✗ ${project}: no test failed, but vitest ended with ${end} (an error outside of the tests); counts as a failure`,
    );
    return { ...counts, failed: 1 };
  }
  return counts;
}

function runVitest(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const vitest = path.join(ROOT, "node_modules", "vitest", "vitest.mjs");
    const child = spawn(process.execPath, [vitest, ...args], { cwd: ROOT, env, stdio: "inherit" });
    const stopListening = onStopRequest((_signal, request) => stopChild(child, request));
    child.once("error", (error) => {
      stopListening();
      reject(error);
    });
    child.once("close", (code, signal) => {
      stopListening();
      resolve(signal === null ? `exit code ${code ?? "unknown"}` : signal);
    });
  });
}

/** vitest gets the chance to take its servers down; who asks a second time does not want to wait for that. */
function stopChild(child: ChildProcess, request: number): void {
  child.kill(request === 1 ? "SIGTERM" : "SIGKILL");
}

async function readReport(file: string): Promise<Report | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Report;
  } catch {
    return undefined;
  }
}
