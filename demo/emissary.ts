/** Emissary as an operator has it: `bin/emissary`, its two files, and the daemon as a child of this process. */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parse, parseDocument } from "yaml";
import { ROOT } from "../scripts/tool.ts";

export const BIN = path.join(ROOT, "bin", "emissary");
const END_WITH_STARTER = pathToFileURL(path.join(import.meta.dirname, "end-with-starter.mjs")).href;
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 50;
const LOG_LINES = 15;

export type CommandResult = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };
export type Ports = { readonly appservice: number; readonly gateway: number; readonly admin: number };

export class Emissary {
  readonly dir: string;
  readonly config: string;
  readonly registration: string;
  readonly database: string;
  readonly log: string;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly #ports: Ports;
  #child: ChildProcess | undefined;
  #end: string | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(dir: string, ports: Ports) {
    this.dir = dir;
    this.config = path.join(dir, "emissary.yaml");
    this.registration = path.join(dir, "registration.yaml");
    this.database = path.join(dir, "emissary.db");
    this.log = path.join(dir, "emissary.log");
    this.gatewayUrl = `http://127.0.0.1:${ports.gateway}`;
    this.adminUrl = `http://127.0.0.1:${ports.admin}`;
    this.#ports = ports;
  }

  /** The arguments of `emissary register` for a homeserver. */
  registerArgs(homeserver: { readonly url: string; readonly serverName: string }): string[] {
    const url = `http://127.0.0.1:${this.#ports.appservice}`;
    const names = ["--homeserver-url", homeserver.url, "--server-name", homeserver.serverName];
    return ["register", ...names, "--url", url, "--dir", this.dir];
  }

  /** Never throws for an exit code. */
  run(args: readonly string[]): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      execFile(BIN, args, { encoding: "utf8" }, (error, stdout, stderr) => {
        if (error && typeof error.code !== "number") reject(new Error(`${BIN} ${args[0] ?? ""}: ${error.message}`));
        else resolve({ exitCode: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
      });
    });
  }

  /** Free ports, so that any number of demos run at once, and a short linger: nobody wants to watch ten minutes of waiting. */
  async adaptConfig(linger: string): Promise<void> {
    const document = parseDocument(await readFile(this.config, "utf8"));
    document.setIn(["appservice", "listen"], `127.0.0.1:${this.#ports.appservice}`);
    document.setIn(["gateway", "listen"], `127.0.0.1:${this.#ports.gateway}`);
    document.setIn(["admin", "listen"], `127.0.0.1:${this.#ports.admin}`);
    document.setIn(["attendance", "linger"], linger);
    await writeFile(this.config, document.toString({ lineWidth: 0 }), { mode: 0o600 });
  }

  async readRegistration(): Promise<{ as_token: string }> {
    return parse(await readFile(this.registration, "utf8")) as { as_token: string };
  }

  async readAdminToken(): Promise<string> {
    return (parse(await readFile(this.config, "utf8")) as { admin: { token: string } }).admin.token;
  }

  start(): void {
    const log = openSync(this.log, "a", 0o600);
    const options = [process.env["NODE_OPTIONS"], `--import=${END_WITH_STARTER}`].filter(Boolean).join(" ");
    const child = spawn(BIN, ["run", "--config", this.config], {
      stdio: ["pipe", log, log],
      env: { ...process.env, NODE_OPTIONS: options },
      // A Ctrl-C in the terminal goes to its whole process group, but is meant for the demo, which ends things in order.
      detached: true,
    });
    closeSync(log);
    child.stdin?.on("error", () => undefined);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#end = error.message;
        resolve();
      });
      child.once("close", (code, signal) => {
        this.#end ??= signal ?? `exit code ${code ?? "unknown"}`;
        resolve();
      });
    });
  }

  /** Resolves with the sentence that tells how it ended. */
  async ended(): Promise<string> {
    await this.#ended;
    const lines = (await readFile(this.log, "utf8").catch(() => "")).trimEnd().split("\n").slice(-LOG_LINES);
    return `Emissary ended (${this.#end ?? "it was not started"}). The last lines of its log:\n${lines.join("\n")}`;
  }

  async untilReady(): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    let answer = "nothing answered";
    while (performance.now() < deadline) {
      if (this.#end !== undefined) throw new Error(await this.ended());
      try {
        const response = await fetch(`${this.adminUrl}/ready`, { signal: AbortSignal.timeout(2_000) });
        answer = await response.text();
        if (response.ok) return;
      } catch {
        // It does not listen yet.
      }
      await sleep(POLL_MS);
    }
    throw new Error(`Emissary was not ready after ${READY_TIMEOUT_MS / 1000} s: ${answer}. Its log: ${this.log}`);
  }

  async stop(): Promise<void> {
    if (this.#end !== undefined || this.#child === undefined) return;
    this.#child.kill("SIGTERM");
    const timeout = setTimeout(() => this.kill(), STOP_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(timeout);
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }
}
