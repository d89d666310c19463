/**
 * Software that acts through Emissary, as a process of its own: an SDK in its released form, with a few lines around it
 * (`drivers/`) that make it do what a line on its standard input says.
 *
 * The protocol is lines of JSON. We send a command and get one answer: `{"id":1,"do":"join",…}` and `{"id":1,"result":…}` or
 * `{"id":1,"error":"…"}`. In between it tells what it was sent: `{"event":"heard",…}` is of others, and `{"event":"echo",…}`
 * what the SDK recognises as of its own making. Its first line is `{"event":"ready"}`. It ends when its input does.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const READY_MS = 60_000;
const ANSWER_MS = 60_000;
const KEPT_ERRORS = 4_000;

/** What the drivers do; `as` is the ghost's user ID, or null for the appservice's own user. */
export interface Commands {
  register: { as: string | null };
  join: { as: string | null; room: string; via: readonly string[] };
  /** Sets name and avatar, which it uploads; the result is the avatar's URL. */
  profile: { as: string | null; name: string };
  send: { as: string | null; room: string; text: string };
  edit: { as: string | null; room: string; event: string; text: string };
  react: { as: string | null; room: string; event: string; key: string };
  redact: { as: string | null; room: string; event: string };
  /** Makes a public room; the result is its ID. @param version null for the homeserver's default */
  create: { as: string | null; name: string; version: string | null; levels: Readonly<Record<string, number>> };
  alias: { as: string | null; room: string; alias: string };
  topic: { as: string | null; room: string; text: string };
  /** The SDK's own test whether the homeserver reaches the appservice. */
  check: { room: string };
}

/** What the client on the Rust SDK does; each result is JSON. */
export interface LookCommands {
  preview: { room: string; via: readonly string[] };
  join: { room: string; via: readonly string[] };
  subscribe: { room: string };
  unsubscribe: { room: string };
  /** The room as the SDK has it, null where it knows none. */
  known: { room: string };
  /** The newest messages, and all members, as it asks for them when a user scrolls up. */
  back: { room: string };
}

/** An event that it was sent, as it sees it. */
export interface Told {
  readonly event: "heard" | "echo";
  readonly id: string;
  readonly type: string;
  readonly sender: string;
  readonly room: string;
  readonly content: Readonly<Record<string, unknown>>;
}

type Line =
  Told | { readonly event: "ready" } | { readonly id: number; readonly result?: unknown; readonly error?: string };

/** @typeParam Known the commands that it obeys, with their words */
export class Driver<Known = Commands> {
  /** What it was sent since it was first started. */
  readonly told: Told[] = [];
  readonly #command: readonly string[];
  readonly #waiting = new Map<number, (line: { readonly result?: unknown; readonly error?: string }) => void>();
  #process: ChildProcess | null = null;
  #errors = "";
  #lastId = 0;

  constructor(command: readonly string[]) {
    this.#command = command;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const [file = "", ...args] = this.#command;
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#process = child;
    this.#errors = "";
    child.stdin.on("error", () => undefined);
    child.stderr.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString("utf8")).slice(-KEPT_ERRORS);
    });
    const ended = once(child, "close").then(() => {
      const why = new Error(`${this.#command.join(" ")} ended:\n${this.#errors}`);
      for (const answer of this.#waiting.values()) answer({ error: why.message });
      throw why;
    });
    ended.catch(() => undefined);
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout }).on("line", (text) => this.#take(JSON.parse(text) as Line, resolve));
    });
    await Promise.race([ready, ended, this.#tooLate(READY_MS, "is not ready")]);
  }

  async ask<Name extends keyof Known & string>(name: Name, words: Known[Name]): Promise<string> {
    const id = ++this.#lastId;
    const answered = new Promise<{ readonly result?: unknown; readonly error?: string }>((resolve) => {
      this.#waiting.set(id, resolve);
    });
    this.#process?.stdin?.write(`${JSON.stringify({ id, do: name, ...words })}\n`);
    const answer = await Promise.race([answered, this.#tooLate(ANSWER_MS, `does not answer ${name}`)]);
    this.#waiting.delete(id);
    if (answer.error !== undefined) throw new Error(`${name} ${JSON.stringify(words)}: ${answer.error}`);
    return answer.result as string;
  }

  /** As if its machine had failed: nothing is brought to an end. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  }

  #take(line: Line, ready: () => void): void {
    if (!("event" in line)) this.#waiting.get(line.id)?.(line);
    else if (line.event === "ready") ready();
    else this.told.push(line);
  }

  #tooLate(afterMs: number, what: string): Promise<never> {
    return new Promise((_resolve, reject) => {
      setTimeout(() => {
        reject(new Error(`${this.#command.join(" ")} ${what} after ${afterMs / 1000} s:\n${this.#errors}`));
      }, afterMs).unref();
    });
  }
}
