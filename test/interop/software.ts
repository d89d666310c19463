/** The software that is run against Emissary, each an unmodified release. Its versions are in package-lock.json, requirements.txt and go.mod. */
import path from "node:path";
import { ensureSynapse } from "../../homeservers/synapse/environment.ts";
import { ensureGoProgram } from "../support/go-program.ts";

const DRIVERS = path.join(import.meta.dirname, "drivers");

export interface Software {
  readonly name: string;
  /** The tenant's ID. */
  readonly id: string;
  /** An appservice has ghosts and is sent transactions; a plain bot is one user and polls. */
  readonly kind: "appservice" | "bot";
  /** The program with its arguments; the last one, the file with its configuration, is yet to come. */
  readonly command: readonly string[];
}

export interface Missing {
  readonly name: string;
  readonly why: string;
}

/** What can be run on this machine, and what cannot. Compiles and installs what is missing in the cache. */
export async function findSoftware(): Promise<{
  readonly here: readonly Software[];
  readonly missing: readonly Missing[];
}> {
  const python = process.env["EMISSARY_SYNAPSE_PYTHON"] ?? (await ensureSynapse()).python;
  const go = await ensureGoProgram(path.join(DRIVERS, "mautrix-go"));
  const ofGo = { name: "mautrix-go appservice", id: "mautrixgo", kind: "appservice" } as const;
  return {
    here: [
      { name: "matrix-appservice-bridge", id: "bridge", kind: "appservice", command: inNode("appservice-bridge.mjs") },
      {
        name: "matrix-bot-sdk Appservice",
        id: "botsdk",
        kind: "appservice",
        command: inNode("bot-sdk-appservice.mjs"),
      },
      { name: "matrix-bot-sdk MatrixClient", id: "plainbot", kind: "bot", command: inNode("bot-sdk-sync.mjs") },
      {
        name: "mautrix (Python) AppService",
        id: "mautrixpy",
        kind: "appservice",
        command: [python, "-B", path.join(DRIVERS, "mautrix_appservice.py")],
      },
      ...(go.binary === null ? [] : [{ ...ofGo, command: [go.binary] }]),
    ],
    missing: go.binary === null ? [{ name: ofGo.name, why: go.why }] : [],
  };
}

function inNode(file: string): readonly string[] {
  return [process.execPath, "--no-deprecation", path.join(DRIVERS, file)];
}
