/** One running Synapse, which never outlives us: how it is stopped, and how it ended. */
import { setTimeout as sleep } from "node:timers/promises";
import { spawnChild, type Child } from "./child.ts";
import { fork } from "./fork-server.ts";

const STOP_TIMEOUT_MS = 10_000;

export class ServerProcess {
  readonly #child: Child;
  readonly #exited: Promise<void>;
  #end: string | undefined;

  /** `args`: those of run_homeserver.py. */
  constructor(python: string, args: readonly string[]) {
    this.#child = fork(python, args) ?? spawnChild(python, args);
    this.#exited = this.#child.ended.then((how) => void (this.#end = how));
  }

  get pid(): number {
    return this.#child.pid();
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
    return this.#child.output();
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
