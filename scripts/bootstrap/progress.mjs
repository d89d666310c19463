// @ts-check
/**
 * Runs a slow command and keeps whoever waits informed. Its output is kept back and shown only when it fails.
 */
import { spawn } from "node:child_process";
import { exitCodeOfSignal, onStopRequest } from "./signals.mjs";

const HEARTBEAT_MS = 5_000;
const KEPT_OUTPUT = 8_000;

/** Progress goes to stderr: stdout belongs to the program that is being prepared. @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Says `what` at once and every five seconds, and resolves with the output when the command succeeds. A signal to
 * us is passed on, and we end only after the command did: nothing may go on installing into a directory that we
 * have already given up.
 *
 * @param {string} what "installing packages"
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, log?: (line: string) => void }} [options]
 * @returns {Promise<string>}
 */
export function runWithProgress(what, command, args, options = {}) {
  const log = options.log ?? say;
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1000);
  log(`${what} …`);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk.toString("utf8")).slice(-KEPT_OUTPUT);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const heartbeat = setInterval(() => log(`… still ${what} (${seconds()} s)`), HEARTBEAT_MS);

    /** @type {NodeJS.Signals | undefined} */
    let interruptedBy;
    const stopListening = onStopRequest((signal) => {
      interruptedBy = signal;
      child.kill(signal);
    });
    const settle = () => {
      clearInterval(heartbeat);
      stopListening();
    };

    child.on("error", (error) => {
      settle();
      reject(new Error(`${what}: cannot run ${command}: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      settle();
      if (interruptedBy) process.exit(exitCodeOfSignal(interruptedBy));
      if (code === 0) return resolve(output);
      const end = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      reject(new Error(`${what} failed: ${command} ${args.join(" ")} ${end}.\n${output.trimEnd()}`));
    });
  });
}
