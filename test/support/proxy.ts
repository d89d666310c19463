/** Real reverse proxies before a homeserver and the gateway, with the files of packaging/proxy as an operator would use them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import { ensureDebianProgram, type Wanted } from "./debian-program.ts";

const PACKAGING = new URL("../../packaging/proxy/", import.meta.url);
/** The addresses that the files have, and a test has others. */
const GATEWAY = /127\.0\.0\.1:9010/g;
const HOMESERVER = /127\.0\.0\.1:8008/g;
const START_MS = 15_000;

export interface ProxyKind {
  readonly name: "nginx" | "Caddy";
  readonly binary: string;
}

export interface Before {
  /** host:port of each. */
  readonly gateway: string;
  readonly homeserver: string;
  /** Changes the files before they are used. */
  readonly edit?: (text: string) => string;
}

const WANTED: Readonly<Record<ProxyKind["name"], Wanted>> = {
  nginx: { name: "nginx", file: "usr/sbin/nginx", trial: ["-v"] },
  Caddy: { name: "caddy", file: "usr/bin/caddy", trial: ["version"] },
};

/** Those that this machine has or can be given, and why not the others. */
export async function findProxies(): Promise<{
  readonly here: readonly ProxyKind[];
  readonly missing: readonly { readonly name: string; readonly why: string }[];
}> {
  const here: ProxyKind[] = [];
  const missing: { name: string; why: string }[] = [];
  for (const name of ["nginx", "Caddy"] as const) {
    const found = await ensureDebianProgram(WANTED[name]);
    if (found.binary === null) missing.push({ name, why: found.why });
    else here.push({ name, binary: found.binary });
  }
  return { here, missing };
}

/** A file of packaging/proxy. */
export function packaged(file: string): string {
  return readFileSync(new URL(file, PACKAGING), "utf8");
}

/** A running proxy on a port of its own, in a folder of its own. */
export class Proxy {
  readonly url: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #dir: string;
  #output = "";

  private constructor(child: ChildProcess, dir: string, port: number) {
    this.#child = child;
    this.#dir = dir;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString("utf8")).slice(-8_000);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    process.once("exit", this.#kill);
  }

  static async start({ name, binary }: ProxyKind, before: Before): Promise<Proxy> {
    const dir = await mkdtemp(path.join(tmpdir(), "emissary-proxy-"));
    const [port = 0] = await freePorts(1);
    const file = path.join(dir, "config");
    await writeFile(file, name === "nginx" ? nginxConfig(dir, port, before) : caddyConfig(dir, port, before));
    const args =
      name === "nginx" ? ["-p", dir, "-e", "stderr", "-c", file] : ["run", "--config", file, "--adapter", "caddyfile"];
    const env = { PATH: process.env["PATH"], HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
    const proxy = new Proxy(spawn(binary, args, { env, stdio: ["ignore", "pipe", "pipe"] }), dir, port);
    await proxy.#started();
    return proxy;
  }

  async end(): Promise<void> {
    process.off("exit", this.#kill);
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const closed = once(this.#child, "close");
      this.#child.kill("SIGTERM");
      await closed;
    }
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #started(): Promise<void> {
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline) {
      if (this.#child.exitCode !== null) throw new Error(`the proxy ended: ${this.#output}`);
      if (await accepts(this.port)) return;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await this.end();
    throw new Error(`the proxy did not start: ${this.#output}`);
  }

  readonly #kill = (): void => {
    this.#child.kill("SIGKILL");
  };
}

function adapted(file: string, { gateway, homeserver, edit = (text) => text }: Before): string {
  return edit(packaged(file).replace(GATEWAY, gateway).replace(HOMESERVER, homeserver));
}

/** One process, so that ending it leaves none behind. */
function nginxConfig(dir: string, port: number, before: Before): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off;
master_process off;
pid ${dir}/pid;
error_log stderr;
events { worker_connections 512; }
http {
access_log off;
${temporary.map((kind) => `${kind}_temp_path ${dir}/${kind};`).join("\n")}
${adapted("nginx.conf", before)}
server {
listen 127.0.0.1:${port};
${adapted("nginx-location.conf", before)}
}
}
`;
}

function caddyConfig(dir: string, port: number, before: Before): string {
  return `{
	admin off
	auto_https off
	storage file_system ${dir}
}
${adapted("Caddyfile", before)}
http://127.0.0.1:${port} {
	import emissary
}
`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
