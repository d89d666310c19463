// @ts-check
/**
 * `node scripts/run.mjs FILE.ts [ARGS]`: what every npm script begins with. Works on Node 20 with nothing installed:
 * gets a fitting Node and the packages, each only when missing, and then becomes `FILE.ts` as far as one can tell
 * from outside (arguments, streams, signals, exit code).
 */
import { execFileSync, spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ensureNode } from "./bootstrap/node.mjs";
import { ensurePackages } from "./bootstrap/packages.mjs";
import { say } from "./bootstrap/progress.mjs";
import { exitCodeOfSignal, onStopRequest } from "./bootstrap/signals.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

async function main() {
  const [file, ...args] = process.argv.slice(2);
  if (!file) {
    say("usage: node scripts/run.mjs FILE.ts [ARGS]");
    return 2;
  }
  const node = await ensureNode();
  const env = {
    ...process.env,
    EMISSARY_NODE: node,
    EMISSARY_RUNNER_PID: `${process.pid}`,
    PATH: [path.dirname(node), process.env["PATH"]].filter(Boolean).join(path.delimiter),
  };
  const nodeVersion = node === process.execPath ? process.version : execFileSync(node, ["-v"], { encoding: "utf8" });
  await ensurePackages({ root, node, nodeVersion, env });
  return become(node, [path.resolve(root, file), ...args], env);
}

/**
 * Signals are passed on, and whatever comes, we outlive the program: it may have servers of its own to stop.
 *
 * @param {string} node @param {readonly string[]} args @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>}
 */
function become(node, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { cwd: root, env, stdio: "inherit" });
    onStopRequest((signal) => child.kill(signal));
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(signal ? exitCodeOfSignal(signal) : (code ?? 1)));
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
