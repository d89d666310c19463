import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { onTestFinished } from "vitest";
import type { ServerName } from "../../src/model/ids.ts";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { makeRegistration, renderRegistration } from "../../src/platform/registration.ts";
import { asDescribed } from "./admin-answers.ts";
import { AS_TOKEN, HS_TOKEN, SERVER, type FakeHomeserver } from "./fake-homeserver.ts";
import { ADMIN_TOKEN, ask, eventually, type Answer } from "./service-app.ts";

const EMISSARY = path.join(import.meta.dirname, "../../bin/emissary");
const APPSERVICE_URL = "http://127.0.0.1:1";

export interface DaemonOptions {
  /** In place of any free ones. */
  readonly ports?: Partial<Record<"appservice" | "gateway" | "admin", number>>;
  /** More keys of the section `gateway`. */
  readonly gateway?: string;
  /** More sections of emissary.yaml. */
  readonly config?: string;
  readonly nodeOptions?: string;
  /** A command that becomes the one after it, in other surroundings. */
  readonly through?: readonly string[];
}

/** `emissary run` as a process of its own, in a folder with its configuration and its database. */
export class Daemon {
  readonly process: ChildProcess;
  readonly sqlite: string;
  /** What it wrote, one JSON object a line. */
  log = "";
  readonly #homeserver: FakeHomeserver;

  constructor(folder: string, homeserver: FakeHomeserver, options: DaemonOptions = {}) {
    const { appservice = 0, gateway = 0, admin = 0 } = options.ports ?? {};
    this.#homeserver = homeserver;
    this.sqlite = path.join(folder, "emissary.db");
    const config = `
homeserver: { url: "${homeserver.url}", server_name: ${SERVER} }
appservice: { listen: "127.0.0.1:${appservice}", url: "${APPSERVICE_URL}" }
gateway: { listen: "127.0.0.1:${gateway}"${options.gateway === undefined ? "" : `, ${options.gateway}`} }
admin: { listen: "127.0.0.1:${admin}", token: ${ADMIN_TOKEN} }
log: { level: info, format: json }
${options.config ?? ""}`;
    const registration = makeRegistration({
      url: APPSERVICE_URL,
      serverName: SERVER as ServerName,
      localpart: "",
      tokens: { asToken: AS_TOKEN, hsToken: HS_TOKEN },
    });
    writeFileSync(path.join(folder, "emissary.yaml"), config, { mode: 0o600 });
    writeFileSync(path.join(folder, "registration.yaml"), renderRegistration(registration, "Of a test."), {
      mode: 0o600,
    });
    const [command, ...args] = [...(options.through ?? []), EMISSARY, "run"];
    this.process = spawn(command, [...args, "--config", path.join(folder, "emissary.yaml")], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, EMISSARY_NODE: process.execPath, NODE_OPTIONS: options.nodeOptions ?? "" },
    });
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    onTestFinished(async () => {
      this.process.kill("SIGKILL");
      await this.exit();
    });
  }

  /** Its exit code, or the signal that ended it. */
  async exit(): Promise<number | string | null> {
    const { exitCode, signalCode } = this.process;
    if (exitCode === null && signalCode === null) await once(this.process, "exit");
    return this.process.exitCode ?? this.process.signalCode;
  }

  entry(event: string): JsonObject | null {
    for (const line of this.log.split("\n").filter((text) => text.startsWith("{") && text.endsWith("}"))) {
      const entry: unknown = JSON.parse(line);
      if (isJsonObject(entry) && entry["message"] === event) return entry;
    }
    return null;
  }

  /** Waits until it is ready; the homeserver learns where it listens now. */
  async ready(): Promise<{ readonly appservice: number; readonly gateway: number; readonly admin: number }> {
    const entry = await eventually(`the daemon being ready; it wrote ${this.log}`, () => {
      if (this.process.exitCode !== null) throw new Error(`the daemon ended: ${this.log}`);
      return this.entry("emissary.ready");
    });
    const port = (name: string): number => Number(entry[name]);
    this.#homeserver.sender.url = `http://127.0.0.1:${port("appservice")}`;
    this.#homeserver.sender.nudge();
    return { appservice: port("appservice"), gateway: port("gateway"), admin: port("admin") };
  }

  /** @param target below `/_emissary/v1` */
  async admin(method: string, target: string, body?: unknown): Promise<Answer> {
    const { admin } = await this.ready();
    const answer = await ask(admin, method, `/_emissary/v1${target}`, {
      token: ADMIN_TOKEN,
      ...(body === undefined ? {} : { body }),
    });
    return asDescribed(method, target, answer);
  }

  /** Adds a tenant. @returns its token */
  async tenant(id: string): Promise<string> {
    const { body } = await this.admin("POST", "/tenants", { id });
    const { registration } = body;
    return (isJsonObject(registration) ? stringAt(registration, "as_token") : null) ?? "";
  }

  /** The most memory it ever held, bytes. */
  get peakMemory(): number {
    const status = readFileSync(`/proc/${String(this.process.pid)}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }
}
