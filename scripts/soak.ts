/**
 * `npm run test:soak [-- SECONDS]`: runs once what takes too long for `npm test` (`test/soak`), and then the fault and property tests
 * again and again with seeds of its own, for as long as asked (ten minutes where nothing is). It stops at the first failure, whose
 * seed it names.
 */
import { randomInt } from "node:crypto";
import { ensureSynapse } from "../homeservers/synapse/environment.ts";
import { SynapseUnavailable } from "../homeservers/synapse/python.ts";
import { runSuite } from "./suite.ts";
import type { Counts } from "./suite.ts";

const FILES = [
  "test/store/recording.test.ts",
  "test/store/keeping.test.ts",
  "test/store/loading.test.ts",
  "test/store/journal.test.ts",
  "test/store/retention.test.ts",
  "test/service/kill.test.ts",
  "test/service/lures-invites.test.ts",
  "test/service/lures-peeks.test.ts",
  "test/service/lures-rooms.test.ts",
  "test/service/room-load.test.ts",
  "test/service/tenants-at-war.test.ts",
];

const seconds = Number(process.argv[2] ?? 600);
if (!Number.isFinite(seconds) || seconds <= 0) {
  console.error("usage: npm run test:soak [-- SECONDS]");
  process.exit(2);
}

console.log("\n== once");
let { passed, failed } = await runOnce();

const end = Date.now() + seconds * 1000;
for (let round = 1; failed === 0 && (round === 1 || Date.now() < end); round += 1) {
  const seed = Number(process.env["EMISSARY_SOAK_SEED"] ?? randomInt(1, 2 ** 31));
  console.log(`\n== round ${round}, seed ${seed}`);
  const env = { ...process.env, EMISSARY_SOAK_SEED: String(seed) };
  for (const project of ["store", "service"]) {
    const counts = await runSuite(
      project,
      env,
      console.log,
      FILES.filter((file) => file.startsWith(`test/${project}/`)),
    );
    passed += counts.passed;
    failed += counts.failed;
  }
  if (failed > 0) console.log(`\nTo see it again: EMISSARY_SOAK_SEED=${seed} npm run test:soak -- 1`);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function runOnce(): Promise<Pick<Counts, "passed" | "failed">> {
  try {
    const { python } = await ensureSynapse({ log: console.log });
    return await runSuite("soak", { ...process.env, EMISSARY_SYNAPSE_PYTHON: python }, console.log);
  } catch (error) {
    if (!(error instanceof SynapseUnavailable)) throw error;
    console.log(`- left out, since there is no Synapse: ${error.message}`);
    return { passed: 0, failed: process.env["CI"] === "true" ? 1 : 0 };
  }
}
