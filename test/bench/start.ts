/**
 * `npm run bench:start`: how soon a daemon with a large ledger is ready, and how much memory it has then. Beside it the same
 * with an empty one: what the rooms cost is the difference.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "../../scripts/build.ts";
import { TinyHomeserver } from "./homeserver.ts";
import { populate } from "./populate.ts";
import { startEmissary } from "./subject.ts";

const ROUNDS = 5;
const ROOMS = 100_000;
const MEMBERSHIPS = 1_000_000;
const GOAL = { seconds: 2, megabytes: 200 };

const folder = mkdtempSync(path.join(tmpdir(), "emissary-bench-"));
const homeserver = new TinyHomeserver();
try {
  const built = await build();
  if (!built.ok) throw new Error(built.output);
  const homeserverUrl = await homeserver.start();

  const full = path.join(folder, "full");
  mkdirSync(full);
  console.log(
    `Making a ledger of ${ROOMS.toLocaleString("en")} rooms and ${MEMBERSHIPS.toLocaleString("en")} memberships …`,
  );
  populate(path.join(full, "emissary.db"), ROOMS, MEMBERSHIPS);

  const seconds: Record<string, number[]> = { empty: [], full: [] };
  const megabytes: Record<string, number[]> = { empty: [], full: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ["empty", "full"]) {
      const begun = performance.now();
      const daemon = await startEmissary({ name, folder: path.join(folder, name), homeserverUrl });
      const ready = await fetch(`http://127.0.0.1:${daemon.adminPort}/ready`);
      seconds[name]?.push((performance.now() - begun) / 1_000);
      if (!ready.ok) throw new Error(`/ready answered ${ready.status}`);
      megabytes[name]?.push(daemon.memory().peak);
      await daemon.stop();
      if (!existsSync(path.join(folder, name, "emissary.db"))) throw new Error("the daemon used another database");
    }
  }

  for (const name of ["empty", "full"]) {
    const [time, memory] = [seconds[name] ?? [], megabytes[name] ?? []];
    console.log(`${name.padEnd(5)}  ready after ${spread(time, 2)} s  RSS at most ${spread(memory, 0)} MB`);
  }
  goal(`ready in under ${GOAL.seconds} s`, median(seconds["full"] ?? []), GOAL.seconds);
  goal(`RSS under ${GOAL.megabytes} MB`, median(megabytes["full"] ?? []), GOAL.megabytes);
} finally {
  homeserver.stop();
  rmSync(folder, { recursive: true, force: true });
}

function goal(text: string, is: number, wanted: number): void {
  console.log(`${is < wanted ? "met    " : "not met"}  ${is.toFixed(2)}  ${text}`);
}

function spread(values: readonly number[], digits: number): string {
  return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
