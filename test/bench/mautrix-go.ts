/** The peer in Go. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Program } from "../support/compiled-program.ts";
import { ensureGoProgram } from "../support/go-program.ts";
import { AS_TOKEN, HS_TOKEN, SERVER } from "./homeserver.ts";
import { failure, Subject } from "./subject.ts";

export async function ensureMautrixGo(): Promise<Program> {
  return ensureGoProgram(path.join(import.meta.dirname, "peers/mautrix-go"));
}

export async function startMautrixGo(binary: string, folder: string, homeserverUrl: string): Promise<Subject> {
  const name = "mautrix-go";
  const registration = path.join(folder, "mautrix-go.json");
  const content = {
    id: "peer",
    url: null,
    as_token: AS_TOKEN,
    hs_token: HS_TOKEN,
    sender_localpart: "_peer",
    namespaces: { users: [{ exclusive: true, regex: `@_peer_.*:${SERVER}` }], rooms: [], aliases: [] },
  };
  writeFileSync(registration, JSON.stringify(content), { mode: 0o600 });
  // Its input stays open: it ends when we do.
  const child = spawn(binary, ["-homeserver", homeserverUrl, "-server", SERVER, "-registration", registration], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ready = new Promise<Subject>((resolve) => {
    createInterface({ input: child.stdout }).once("line", (line) => {
      const { port } = JSON.parse(line) as { port: number };
      resolve(new Subject(name, child, port));
    });
  });
  return Promise.race([ready, failure(child, name)]);
}
