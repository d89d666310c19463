/**
 * The starter's side of fork_server.py. A suite that starts many servers has one fork server for each Python; where there is none,
 * a server is a process of its own from the beginning.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { KEPT_OUTPUT, type Child } from "./child.ts";

const SERVER = path.join(import.meta.dirname, "fork_server.py");
/** Sockets by Python, as JSON: a suite's processes hear of them by their environment. */
const VARIABLE = "EMISSARY_SYNAPSE_FORK_SERVERS";

/** @returns a function that ends it */
export async function startForkServer(python: string): Promise<() => Promise<void>> {
  const dir = await mkdtemp(path.join(tmpdir(), "emissary-fork-"));
  const socket = path.join(dir, "socket");
  const server = spawn(python, ["-B", SERVER, socket], { stdio: ["pipe", "pipe", "inherit"] });
  server.stdin.on("error", () => undefined);
  const isListening = await new Promise<boolean>((resolve) => {
    server.stdout.once("data", () => resolve(true));
    server.once("close", () => resolve(false));
  });
  if (!isListening) throw new Error(`${SERVER} does not run with ${python}.`);
  process.env[VARIABLE] = JSON.stringify({ ...known(), [python]: socket });
  return async () => {
    process.env[VARIABLE] = JSON.stringify({ ...known(), [python]: undefined });
    if (server.exitCode === null && server.signalCode === null) {
      const closed = once(server, "close");
      server.stdin.end();
      await closed;
    }
    await rm(dir, { recursive: true, force: true });
  };
}

/** Starts a server by the fork server of this Python; null where there is none. */
export function fork(python: string, args: readonly string[]): Child | null {
  const socket = known()[python];
  if (socket === undefined) return null;
  const connection = connect(socket, () => connection.write(`${JSON.stringify(args)}\n`));
  let pid = 0;
  let text = "";
  connection.setEncoding("utf8");
  connection.on("data", (chunk: string) => {
    text += chunk;
    const [line = "", found] = (pid === 0 ? /^pid (\d+)\n/.exec(text) : null) ?? [];
    if (found !== undefined) pid = Number(found);
    text = text.slice(line.length).slice(-KEPT_OUTPUT);
  });
  const ended = new Promise<string>((resolve) => {
    connection.once("error", (error) => resolve(error.message));
    connection.once("close", () => resolve(text.split("\0")[1] ?? "the fork server is gone"));
  });
  return {
    pid: () => pid,
    output: () => text.split("\0")[0] ?? "",
    kill(signal) {
      // It ends when we are gone, also before we know who it is.
      if (pid === 0) connection.destroy();
      else killIfThere(pid, signal);
    },
    ended,
  };
}

/** It may be gone, and we not told so yet. */
function killIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function known(): Record<string, string> {
  return JSON.parse(process.env[VARIABLE] ?? "{}") as Record<string, string>;
}
