/** A Synapse as the operating system has it, whoever started it. */
import { spawn } from "node:child_process";
import path from "node:path";

const RUNNER = path.join(import.meta.dirname, "run_homeserver.py");
export const KEPT_OUTPUT = 8_000;

export interface Child {
  /** 0 until it is known. */
  pid(): number;
  /** What it wrote before its log took over. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** How it ended. */
  readonly ended: Promise<string>;
}

/** Starts one as a process of its own. `args`: those of run_homeserver.py. */
export function spawnChild(python: string, args: readonly string[]): Child {
  // stdin stays open as long as we live, whatever ends us; run_homeserver.py waits for its end.
  // -B: another user's cache or a read-only clone is no reason for noise.
  const child = spawn(python, ["-B", RUNNER, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-KEPT_OUTPUT);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.stdin.on("error", () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(signal ?? `exit code ${code ?? "unknown"}`));
  });
  return { pid: () => child.pid ?? 0, output: () => output, kill: (signal) => void child.kill(signal), ended };
}
