/**
 * The programs that are run twice: as a tenant of Emissary on our server, and as the operator of the other server would have it
 * there, which is a Synapse and nothing else.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import type { Stage } from "../support/stage.ts";
import { findNgircd } from "./ngircd.ts";
import { ensureProgramsPython } from "./python.ts";
import type { Record } from "./record.ts";
import { runBot, type BotProgram } from "./scenarios/bot.ts";
import { runHeisenbridge } from "./scenarios/heisenbridge.ts";
import { runSdk } from "./scenarios/sdk.ts";
import type { Missing, Software } from "./software.ts";
import type { World } from "./world.ts";

const PROGRAMS = path.join(import.meta.dirname, "programs");
/** What heisenbridge needs beyond reading and writing: rooms of its own, and people in them. */
const EVERYTHING = "read,send,redact,create,invite,kick,ban,state,room-state";

/** What a program is given, by either. */
interface Given {
  readonly registration: string;
  readonly port: number;
  readonly token: string;
}

export interface Compared {
  /** The tenant's ID. */
  readonly id: string;
  /** What the table of differences calls it. */
  readonly program: string;
  readonly name: string;
  /** An appservice has ghosts, whose IDs begin so, and a listener. */
  readonly ghosts: string | null;
  readonly actions: string;
  run(world: World, given: Given): Promise<Record>;
}

/** All that can be run here. */
export async function findCompared(
  sdks: readonly Software[],
): Promise<{ readonly here: readonly Compared[]; readonly missing: readonly Missing[] }> {
  const found = await ensureProgramsPython();
  const ngircd = await findNgircd();
  const here: Compared[] = sdks.map((software) => {
    // The same software is a tenant already, with ghosts that are nobody else's.
    const id = `${software.id}2`;
    return {
      id,
      program: software.id,
      name: software.name,
      ghosts: software.kind === "bot" ? null : `_${id}_`,
      actions: "read,send,redact,create",
      run: (world, { registration, port }) => runSdk(world, { software: { ...software, id }, registration, port }),
    };
  });
  const missing: Missing[] = [];
  const { python } = found;
  if (python === null) {
    const why = found.why;
    missing.push(...["heisenbridge", "matrix-nio", "simplematrixbotlib"].map((name) => ({ name, why })));
    return { here, missing };
  }
  for (const bot of botsOf(python)) {
    const run = (world: World, { token }: Given): Promise<Record> => runBot(world, { ...bot, token });
    here.push({ id: bot.id, program: bot.id, name: bot.name, ghosts: null, actions: "read,send,redact", run });
  }
  if (ngircd.binary === null) missing.push({ name: "heisenbridge, whose IRC server is ngircd", why: ngircd.why });
  else {
    here.push({
      id: "heisenbridge",
      program: "heisenbridge",
      name: "heisenbridge",
      ghosts: "irc_",
      actions: EVERYTHING,
      run: (world, given) => runHeisenbridge(world, { ...given, python, ngircd }),
    });
  }
  return { here, missing };
}

/** What the namespaces of a tenant are reserved with, see `openStage`. */
export function reservedFor({ id, ghosts }: Compared): readonly string[] {
  return [`_emissary_${id}`, `#_${id}_.*`, ...(ghosts === null ? [] : [`${ghosts}.*`])];
}

/** The appservices' registrations at the server that has no Emissary, which reads them at its start. */
export async function registerControls(
  dir: string,
  programs: readonly Compared[],
  serverName: string,
): Promise<ReadonlyMap<string, Given>> {
  await mkdir(dir, { recursive: true });
  const given = new Map<string, Given>();
  for (const { id, ghosts } of programs) {
    if (ghosts === null) continue;
    const [port = 0] = await freePorts(1);
    const namespace = (regex: string): unknown => ({ regex, exclusive: true });
    const token = randomUUID();
    const registration = path.join(dir, `${id}.yaml`);
    const content = {
      id,
      url: `http://127.0.0.1:${port}`,
      as_token: token,
      hs_token: randomUUID(),
      sender_localpart: `_emissary_${id}`,
      rate_limited: false,
      namespaces: {
        users: [namespace(`@${ghosts}.*:${serverName}`)],
        aliases: [namespace(`#_${id}_.*:${serverName}`)],
        rooms: [],
      },
    };
    await writeFile(registration, JSON.stringify(content));
    given.set(id, { registration, port, token });
  }
  return given;
}

/** One run at the Synapse that has no Emissary. */
export async function runAtSynapse(
  stage: Stage,
  program: Compared,
  controls: ReadonlyMap<string, Given>,
): Promise<Record> {
  const home = stage.theirs;
  const dir = path.join(stage.dir, `${program.id}-synapse`);
  await mkdir(dir);
  let given = controls.get(program.id);
  let bot = `@_emissary_${program.id}:${home.serverName}`;
  if (given === undefined) {
    const account = await home.registerUser(`${program.id}-bot`);
    const registration = path.join(dir, "registration.yaml");
    await writeFile(registration, JSON.stringify({ as_token: account.accessToken }));
    given = { registration, port: 0, token: account.accessToken };
    bot = account.userId;
  }
  const world = { home, away: stage.ours, homeserver: home.url, bot, pseudouser: null, dir, goesOn: false };
  return program.run(world, given);
}

/** The same with Emissary in its place. */
export async function runAtEmissary(stage: Stage, program: Compared): Promise<Record> {
  const { id, ghosts, actions } = program;
  const home = stage.ours;
  const dir = path.join(stage.dir, `${id}-emissary`);
  await mkdir(dir);
  const [port = 0] = await freePorts(1);
  const registration = path.join(dir, "registration.yaml");
  const address = ["--url", `http://127.0.0.1:${port}`, "--users", `@${ghosts ?? ""}.*:${home.serverName}`];
  const options = ["--out", registration, "--actions", actions, ...(ghosts === null ? [] : address)];
  const added = await stage.emissary.run("tenant", "add", id, ...options);
  if (added.exitCode !== 0) throw new Error(`tenant add ${id}: ${added.stderr}`);
  const { as_token: token } = parse(await readFile(registration, "utf8")) as { as_token: string };
  const sender = `@_emissary_${id}:${home.serverName}`;
  const { gatewayUrl: homeserver } = stage.emissary;
  const { pseudouser } = stage;
  const world = { home, away: stage.theirs, homeserver, bot: sender, pseudouser, dir, goesOn: true };
  return program.run(world, { registration, port, token });
}

type Bot = Omit<BotProgram, "token"> & { readonly name: string };

function botsOf(python: string): readonly Bot[] {
  const command = (file: string): readonly string[] => [python, "-B", "-u", path.join(PROGRAMS, file)];
  return [
    {
      id: "nio",
      name: "matrix-nio",
      command: command("nio_bot.py"),
      ready: /ready/,
      talk: {
        inGroup: [
          ["!c hello", /you said hello/],
          ["!c who", /, of /],
          ["!c react", /👍/],
          ["!c history", / < /],
        ],
        inPrivate: [
          ["hello", /you said hello/],
          ["who", /, of /],
        ],
        rooms: "!c rooms",
      },
    },
    {
      id: "simplematrixbotlib",
      name: "simplematrixbotlib",
      command: command("simple_bot.py"),
      ready: /Connected to/,
      talk: {
        inGroup: [
          ["!echo hello", /@BOT m\.text "hello"/],
          ["!mark bold", /@BOT m\.text .*strong/],
          ["!members", /@BOT m\.text .*m\.in_reply_to/],
        ],
        inPrivate: [["!echo psst", /@BOT m\.text "psst"/]],
        rooms: "!rooms",
      },
    },
  ];
}
