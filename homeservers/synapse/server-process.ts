/** The operating system's side of a Synapse: one child process that never outlives us. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const RUNNER = path.join(import.meta.dirname, "run_homeserver.py");
const STOP_TIMEOUT_MS = 10_000;
const KEPT_OUTPUT = 8_000;

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #output = "";
  #end: string | undefined;

  /** `args`: those of run_homeserver.py. */
  constructor(python: string, args: readonly string[]) {
    // stdin stays open as long as we live, whatever ends us; run_homeserver.py waits for its end.
    // -B: another user's cache or a read-only clone is no reason for noise.
    this.#child = spawn(python, ["-B", RUNNER, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString("utf8")).slice(-KEPT_OUTPUT);
    };
    this.#child.stdout?.on("data", keep);
    this.#child.stderr?.on("data", keep);
    this.#child.stdin?.on("error", () => undefined);
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#end = error.message;
        resolve();
      });
      this.#child.once("close", (code, signal) => {
        this.#end ??= signal === null ? `exit code ${code ?? "unknown"}` : signal;
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#end === undefined;
  }

  /** How it ended; undefined while it runs. */
  get end(): string | undefined {
    return this.#end;
  }

  /** What it wrote before its log took over. */
  get output(): string {
    return this.#output;
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill("SIGTERM");
    // A stopped process (SIGSTOP) receives the other signal only when it goes on.
    this.#child.kill("SIGCONT");
    const timeout = new AbortController();
    const killLater = sleep(STOP_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(
      () => this.#child.kill("SIGKILL"),
      () => undefined,
    );
    await this.#exited;
    timeout.abort();
    await killLater;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill(signal);
    if (signal !== "SIGSTOP" && signal !== "SIGCONT") await this.#exited;
  }
}
