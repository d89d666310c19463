import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { freePorts } from "../../homeservers/synapse/ports.ts";

const BIN = new URL("../../bin/emissary", import.meta.url).pathname;
const START_MS = 30_000;

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Those whose daemon was started and has not ended. */
export const running = new Set<Emissary>();

/** Emissary as an operator has it: the built program, its files in a folder, commands and a daemon. */
export class Emissary {
  readonly dir: string;
  readonly #env: NodeJS.ProcessEnv;
  #daemon: ChildProcess | null = null;
  #log = "";

  private constructor(dir: string) {
    this.dir = dir;
    this.#env = { ...process.env, NO_COLOR: "1" };
  }

  /** Registers with a homeserver that is yet to start: writes both files, with ports that are free now. */
  static async register(options: {
    readonly dir: string;
    readonly homeserverUrl: string;
    readonly serverName: string;
    readonly localpart?: string;
    /** Namespaces of tenants' personas that people are kept from. */
    readonly reserve?: readonly string[];
    /** Whether the homeserver tells of invites of its users. */
    readonly watchInvites?: boolean;
    /** Sections of emissary.yaml that differ from what `register` writes. */
    readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  }): Promise<Emissary> {
    const emissary = new Emissary(options.dir);
    const [appservice = 0, gateway = 0, admin = 0] = await freePorts(3);
    const registered = await emissary.runBare([
      "register",
      ...["--homeserver-url", options.homeserverUrl, "--server-name", options.serverName],
      ...["--url", `http://127.0.0.1:${appservice}`, "--dir", options.dir],
      ...(options.localpart === undefined ? [] : ["--localpart", options.localpart]),
      ...(options.reserve === undefined ? [] : ["--reserve", ...options.reserve]),
      ...(options.watchInvites === true ? ["--watch-invites"] : []),
    ]);
    if (registered.exitCode !== 0) throw new Error(`emissary register failed: ${registered.stderr}`);
    emissary.configure({
      appservice: { listen: `127.0.0.1:${appservice}` },
      gateway: { listen: `127.0.0.1:${gateway}` },
      admin: { listen: `127.0.0.1:${admin}` },
    });
    emissary.configure(options.settings ?? {});
    return emissary;
  }

  get registrationPath(): string {
    return join(this.dir, "registration.yaml");
  }

  get databasePath(): string {
    return join(this.dir, "emissary.db");
  }

  get gatewayUrl(): string {
    return `http://${this.#config()["gateway"]?.["listen"] as string}`;
  }

  get adminUrl(): string {
    return `http://${this.#config()["admin"]?.["listen"] as string}`;
  }

  get asToken(): string {
    return (parse(readFileSync(this.registrationPath, "utf8")) as { as_token: string }).as_token;
  }

  /** What the daemon has written since it was last started. */
  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0;
  }

  /** Changes sections of emissary.yaml. */
  configure(sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>): void {
    const config = this.#config();
    for (const [name, values] of Object.entries(sections)) config[name] = { ...config[name], ...values };
    writeFileSync(join(this.dir, "emissary.yaml"), stringify(config), { mode: 0o600 });
  }

  /** Starts the daemon and waits until it is ready. */
  async start(): Promise<void> {
    this.#log = "";
    const daemon = spawn(BIN, ["run", "--config", join(this.dir, "emissary.yaml")], {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#daemon = daemon;
    running.add(this);
    daemon.once("close", () => running.delete(this));
    const keep = (chunk: Buffer): void => {
      this.#log += chunk.toString("utf8");
    };
    daemon.stdout.on("data", keep);
    daemon.stderr.on("data", keep);
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline) {
      if (daemon.exitCode !== null) throw new Error(`emissary run ended with ${daemon.exitCode}:\n${this.#log}`);
      const ready = await fetch(`${this.adminUrl}/ready`).catch(() => null);
      if (ready?.ok === true) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`emissary run was not ready in time:\n${this.#log}`);
  }

  /** Ends the daemon with a signal; resolves with its exit code, null where the signal itself ended it. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const daemon = this.#daemon;
    if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return daemon?.exitCode ?? null;
    const closed = once(daemon, "close");
    daemon.kill(signal);
    await closed;
    return daemon.exitCode;
  }

  /** Runs a command of the CLI. */
  run(...args: string[]): Promise<CommandResult> {
    return this.runBare([...args, "--config", join(this.dir, "emissary.yaml")]);
  }

  /** Runs a command that has to succeed, and parses what it prints with `--json`. */
  async json<T>(...args: string[]): Promise<T> {
    const result = await this.run(...args, "--json");
    if (result.exitCode !== 0) throw new Error(`emissary ${args.join(" ")} failed: ${result.stderr}`);
    return JSON.parse(result.stdout) as T;
  }

  /** Adds a tenant and gives its token. */
  async addTenant(id: string, ...options: string[]): Promise<{ readonly token: string; readonly sender: string }> {
    const added = await this.run("tenant", "add", id, ...options);
    if (added.exitCode !== 0) throw new Error(`emissary tenant add ${id} failed: ${added.stderr}`);
    const registration = parse(added.stdout) as { as_token: string; sender_localpart: string };
    const server = (this.#config()["homeserver"]?.["server_name"] ?? "") as string;
    return { token: registration.as_token, sender: `@${registration.sender_localpart}:${server}` };
  }

  runBare(args: readonly string[]): Promise<CommandResult> {
    return new Promise((resolve) => {
      execFile(BIN, args, { env: this.#env, encoding: "utf8" }, (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ exitCode, stdout, stderr });
      });
    });
  }

  #config(): Record<string, Record<string, unknown> | undefined> {
    return parse(readFileSync(join(this.dir, "emissary.yaml"), "utf8")) as Record<string, Record<string, unknown>>;
  }
}
