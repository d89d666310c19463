/**
 * `npm test [-- SUITE…]`: runs the suites and sums up. The last line is "N passed, N failed", and ", N skipped" where
 * some were; the exit code is 1 if any failed.
 */
import { ensurePeekableSynapse } from "../homeservers/synapse-peekable/environment.ts";
import { ensureSynapse } from "../homeservers/synapse/environment.ts";
import { SynapseUnavailable } from "../homeservers/synapse/python.ts";
import { exitCodeOfSignal, onStopRequest } from "./bootstrap/signals.mjs";
import { runChecks } from "./check.ts";
import { runSuite } from "./suite.ts";
import type { Counts } from "./suite.ts";

const SUITES = ["check", "unit", "store", "service", "e2e"] as const;
type Suite = (typeof SUITES)[number];

const NONE: Counts = { passed: 0, failed: 0, skipped: 0 };
const ONE_FAILED: Counts = { ...NONE, failed: 1 };

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.filter((name) => !isSuite(name));
  if (unknown.length > 0) {
    console.error(`There is no suite ${unknown.join(", ")}. The suites are ${SUITES.join(", ")}.`);
    return 2;
  }
  // Finishing the summary is more useful than dying at once, so a signal ends the suite under way (suite.ts) and then us.
  let stoppedBy: NodeJS.Signals | undefined;
  onStopRequest((signal) => (stoppedBy = signal));

  let total = NONE;
  for (const suite of SUITES.filter((name) => args.length === 0 || args.includes(name))) {
    if (stoppedBy) break;
    console.log(`\n== ${suite}`);
    const startedAt = performance.now();
    const counts = await run(suite);
    console.log(`== ${suite}: ${inWords(counts)} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
    total = sum(total, counts);
  }
  if (stoppedBy) console.log(`stopped by ${stoppedBy}: not everything was run`);
  console.log(`\n${inWords(total)}`);
  if (stoppedBy) return exitCodeOfSignal(stoppedBy);
  return total.failed > 0 ? 1 : 0;
}

async function run(suite: Suite): Promise<Counts> {
  if (suite === "check") return { ...(await runChecks(console.log)), skipped: 0 };
  return suite === "e2e" ? runEndToEnd() : runSuite(suite, process.env, console.log);
}

async function runEndToEnd(): Promise<Counts> {
  try {
    const { python } = await ensureSynapse({ log: console.log });
    const peekable = await preparePeekableSynapse();
    const env = { ...process.env, EMISSARY_SYNAPSE_PYTHON: python, ...peekable.env };
    return sum(await runSuite("e2e", env, console.log), peekable.counts);
  } catch (error) {
    if (!(error instanceof SynapseUnavailable)) {
      console.log(`✗ e2e: ${error instanceof Error ? error.message : String(error)}`);
      return ONE_FAILED;
    }
    const isRequired = process.env["CI"] === "true";
    console.log(`${isRequired ? "✗" : "-"} e2e cannot run here: ${error.message}`);
    return isRequired ? ONE_FAILED : { ...NONE, skipped: 1 };
  }
}

/**
 * The wheel is built here, since that takes longer than a test may. Without one the others run all the same, and the tests of the
 * `peekable` join rule are skipped by name (test/support/peekable-synapse.ts).
 */
async function preparePeekableSynapse(): Promise<{ readonly env: NodeJS.ProcessEnv; readonly counts: Counts }> {
  try {
    const { python } = await ensurePeekableSynapse({ log: console.log });
    return { env: { EMISSARY_SYNAPSE_PEEKABLE_PYTHON: python }, counts: NONE };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const isFailure = !(error instanceof SynapseUnavailable) || process.env["CI"] === "true";
    console.log(`${isFailure ? "✗" : "-"} the tests of the peekable join rule cannot run here: ${why}`);
    return { env: { EMISSARY_SYNAPSE_PEEKABLE_MISSING: why }, counts: isFailure ? ONE_FAILED : NONE };
  }
}

function isSuite(name: string): name is Suite {
  return (SUITES as readonly string[]).includes(name);
}

function sum(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

process.exitCode = await main(process.argv.slice(2));
