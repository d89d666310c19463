import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { ServerName } from "../../src/model/ids.ts";
import { makeRegistration, renderRegistration } from "../../src/platform/registration.ts";
import { AS_TOKEN, HS_TOKEN, SERVER } from "./homeserver.ts";

const MAIN = path.join(import.meta.dirname, "../../dist/main.js");
/** What startEmissary's admin API takes. */
export const ADMIN_TOKEN = "admin-token-of-a-benchmark";
const NOWHERE = "http://127.0.0.1:1";

/** A process that takes transactions at a port. */
export class Subject {
  readonly name: string;
  readonly port: number;
  /** Of Emissary's admin API; 0 for the others. */
  readonly adminPort: number;
  /** Of Emissary's gateway; 0 for the others. */
  readonly gatewayPort: number;
  readonly #process: ChildProcess;

  constructor(name: string, process: ChildProcess, port: number, more: { admin?: number; gateway?: number } = {}) {
    this.name = name;
    this.port = port;
    this.adminPort = more.admin ?? 0;
    this.gatewayPort = more.gateway ?? 0;
    this.#process = process;
  }

  /** Of a peer that talks with whoever started it. */
  tell(message: object): void {
    this.#process.send(message);
  }

  onTold(hear: (message: unknown) => void): void {
    this.#process.on("message", hear);
  }

  /** Megabytes that are resident now, and the most that ever were. Linux only; NaN elsewhere. */
  memory(): { readonly now: number; readonly peak: number } {
    let status = "";
    try {
      status = readFileSync(`/proc/${String(this.#process.pid)}/status`, "utf8");
    } catch {
      // No /proc: the other numbers are still worth having.
    }
    const of = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
    return { now: of("VmRSS"), peak: of("VmHWM") };
  }

  /** Milliseconds that a processor worked for it, in steps of 10. Linux only; NaN elsewhere. */
  cpu(): number {
    try {
      const stat = readFileSync(`/proc/${String(this.#process.pid)}/stat`, "utf8");
      // After the name, which may hold anything, utime and stime are the 12th and 13th (proc(5)), in hundredths of a second.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) * 10;
    } catch {
      return NaN;
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const ended = once(this.#process, "exit");
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill(signal);
    await ended;
  }
}

export async function startPeer(name: string, kind: string, ...args: string[]): Promise<Subject> {
  const child = fork(path.join(import.meta.dirname, `peers/${kind}.mjs`), args, {
    execArgv: ["--no-deprecation"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [{ port }] = (await Promise.race([once(child, "message"), failure(child, name)])) as [{ port: number }];
  return new Subject(name, child, port);
}

export interface EmissaryOptions {
  readonly name: string;
  /** Holds its configuration and its database, `emissary.db`. Made when missing. */
  readonly folder: string;
  readonly homeserverUrl: string;
  readonly durability?: "full" | "process";
  /** Whose appservice it is, where that is not the tiny homeserver's. */
  readonly of?: { readonly server: string; readonly asToken: string; readonly hsToken: string };
  /** More sections of emissary.yaml. */
  readonly config?: string;
}

const TINY = { server: SERVER, asToken: AS_TOKEN, hsToken: HS_TOKEN };

/** The daemon as an operator has it, from dist: resolves when it is ready. */
export async function startEmissary(options: EmissaryOptions): Promise<Subject> {
  const { name, folder, homeserverUrl, durability, of = TINY } = options;
  mkdirSync(folder, { recursive: true });
  const config = `
homeserver: { url: "${homeserverUrl}", server_name: ${of.server} }
appservice: { listen: "127.0.0.1:0", url: "${NOWHERE}" }
gateway: { listen: "127.0.0.1:0", tenant_rate: 1000000, tenant_burst: 10000000 }
admin: { listen: "127.0.0.1:0", token: ${ADMIN_TOKEN} }
storage: { durability: ${durability ?? "full"} }
log: { format: json }
${options.config ?? ""}`;
  const registration = makeRegistration({
    url: NOWHERE,
    serverName: of.server as ServerName,
    localpart: "",
    tokens: { asToken: of.asToken, hsToken: of.hsToken },
  });
  writeFileSync(path.join(folder, "emissary.yaml"), config, { mode: 0o600 });
  const text = renderRegistration(registration, "Of a benchmark.");
  writeFileSync(path.join(folder, "registration.yaml"), text, { mode: 0o600 });

  const profile = process.env["EMISSARY_BENCH_PROFILE"];
  const nodeArgs =
    profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", path.join(profile, path.basename(folder))];
  const child = spawn(process.execPath, [...nodeArgs, MAIN, "run", "--config", path.join(folder, "emissary.yaml")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return Promise.race([readyAt(child, name), failure(child, name)]);
}

async function readyAt(child: ChildProcess, name: string): Promise<Subject> {
  return new Promise((resolve) => {
    createInterface({ input: child.stderr! }).on("line", (line) => {
      if (!line.includes('"emissary.ready"')) return;
      const ports = JSON.parse(line) as { appservice: number; admin: number; gateway: number };
      resolve(new Subject(name, child, ports.appservice, ports));
    });
  });
}

/** Never resolves: rejects when the process ends. */
export async function failure(child: ChildProcess, name: string): Promise<never> {
  const [code] = (await once(child, "exit")) as [number | null];
  throw new Error(`${name} ended with ${String(code)} before it was ready`);
}
