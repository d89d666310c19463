/** A program that runs beside a test, as an operator would start it. It ends with the test that started it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

const START_MS = 30_000;
const KEPT_OUTPUT = 60_000;

export interface ProgramStart {
  readonly command: readonly string[];
  /** What it writes when it is there. */
  readonly ready: RegExp;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

export class Program {
  readonly #wanted: ProgramStart;
  #child: ChildProcess | null = null;
  #output = "";

  constructor(wanted: ProgramStart) {
    this.#wanted = wanted;
    process.once("exit", () => this.#child?.kill("SIGKILL"));
  }

  /** What it wrote since it was last started. */
  get output(): string {
    return this.#output;
  }

  async start(): Promise<void> {
    const { command, ready, env = {}, cwd } = this.#wanted;
    const [file = "", ...args] = command;
    const child = spawn(file, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#child = child;
    this.#output = "";
    let isReady = (): void => undefined;
    const readiness = new Promise<void>((resolve) => (isReady = resolve));
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString("utf8")).slice(-KEPT_OUTPUT);
      if (ready.test(this.#output)) isReady();
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`is not ready after ${START_MS / 1000} s`), START_MS);
    });
    const failed = Promise.race([once(child, "close").then(() => "ended"), tooLate]);
    const failure = await Promise.race([readiness, failed]);
    clearTimeout(timer);
    if (typeof failure === "string") throw new Error(`${command.join(" ")} ${failure}:\n${this.#output}`);
  }

  /** Ends it; a program that does not obey within five seconds is killed. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill(signal);
    const harder = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await closed;
    clearTimeout(harder);
  }
}
