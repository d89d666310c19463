/** One real Synapse on loopback, as a child of this process. */
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { REGISTRATION_SECRET, writeConfig } from "./config.ts";
import type { ConfigPaths } from "./config.ts";
import { freePorts } from "./ports.ts";
import { ServerProcess } from "./server-process.ts";

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const ERROR_LINES = 25;

export type SynapseOptions = {
  /** From `ensureSynapse`. */
  readonly python: string;
  /** Where the server keeps everything. Given to a second `start`, it is the same server with the same rooms. */
  readonly dir: string;
  readonly clientPort?: number;
  readonly federationPort?: number;
  /** Default: `localhost:<federation port>`, the only kind of name that others find without DNS. */
  readonly serverName?: string;
  /** Paths of application service registration files. */
  readonly registrations?: readonly string[];
  readonly defaultRoomVersion?: string;
  /** Further settings of homeserver.yaml. */
  readonly settings?: Readonly<Record<string, unknown>>;
};

export type SynapseUser = { readonly userId: string; readonly accessToken: string };

export class Synapse {
  readonly url: string;
  readonly serverName: string;
  readonly dir: string;
  readonly #python: string;
  readonly #paths: ConfigPaths;
  #process: ServerProcess;

  private constructor(server: { url: string; serverName: string; dir: string; python: string; paths: ConfigPaths }) {
    this.url = server.url;
    this.serverName = server.serverName;
    this.dir = server.dir;
    this.#python = server.python;
    this.#paths = server.paths;
    this.#process = this.#spawn();
  }

  /** Resolves once the server answers. If it does not come up, it is ended, and the error has the last lines it wrote. */
  static async start(options: SynapseOptions): Promise<Synapse> {
    const [freeClientPort = 0, freeFederationPort = 0] = await freePorts(2);
    const clientPort = options.clientPort ?? freeClientPort;
    const federationPort = options.federationPort ?? freeFederationPort;
    const serverName = options.serverName ?? `localhost:${federationPort}`;
    const paths = await writeConfig({
      python: options.python,
      dir: options.dir,
      clientPort,
      federationPort,
      serverName,
      registrations: options.registrations ?? [],
      defaultRoomVersion: options.defaultRoomVersion,
      settings: options.settings,
    });
    const url = `http://127.0.0.1:${clientPort}`;
    const synapse = new Synapse({ url, serverName, dir: options.dir, python: options.python, paths });
    await synapse.#untilReady();
    return synapse;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process.isRunning;
  }

  /** The same server again, after `stop` or `kill` too; one that runs is stopped first. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = this.#spawn();
    await this.#untilReady();
  }

  /** SIGTERM, and SIGKILL after ten seconds. Nothing to do if it is not running. */
  async stop(): Promise<void> {
    await this.#process.stop();
  }

  /** A crash, for tests of what comes after one. Resolves when the process is gone (or, after SIGSTOP, stands still). */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#process.kill(signal);
  }

  /** The last `lines` lines of its log. */
  async logTail(lines: number): Promise<string> {
    const text = await readFile(this.#paths.log, "utf8").catch(() => "");
    return lastLines(text, lines);
  }

  async registerUser(localpart: string, { admin = false } = {}): Promise<SynapseUser> {
    const endpoint = `${this.url}/_synapse/admin/v1/register`;
    const { nonce } = (await (await fetch(endpoint)).json()) as { nonce: string };
    const password = localpart;
    const mac = createHmac("sha1", REGISTRATION_SECRET)
      .update([nonce, localpart, password, admin ? "admin" : "notadmin"].join("\0"))
      .digest("hex");
    const response = await fetch(endpoint, {
      method: "POST",
      body: JSON.stringify({ nonce, username: localpart, password, admin, mac }),
    });
    if (!response.ok) {
      throw new Error(`Synapse ${this.serverName} did not create the user ${localpart}: ${await response.text()}`);
    }
    const created = (await response.json()) as { user_id: string; access_token: string };
    return { userId: created.user_id, accessToken: created.access_token };
  }

  #spawn(): ServerProcess {
    return new ServerProcess(this.#python, [this.#paths.certificate, this.#paths.key, "-c", this.#paths.config]);
  }

  async #untilReady(): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await this.#answers())) {
      const failure = this.#process.isRunning
        ? performance.now() > deadline
          ? `did not answer within ${START_TIMEOUT_MS / 1000} s`
          : undefined
        : `ended while starting (${this.#process.end})`;
      if (failure !== undefined) {
        await this.stop();
        const wrote = lastLines(this.#process.output || (await this.logTail(ERROR_LINES)), ERROR_LINES);
        throw new Error(
          `Synapse ${this.serverName} ${failure}. Its files are in ${this.dir}. ${wrote === "" ? "It wrote nothing." : `It wrote:\n${wrote}`}`,
        );
      }
      await sleep(POLL_MS);
    }
  }

  async #answers(): Promise<boolean> {
    if (!this.#process.isRunning) return false;
    try {
      const response = await fetch(`${this.url}/_matrix/client/versions`, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }
}

function lastLines(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
