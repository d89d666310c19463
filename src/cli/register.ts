import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { isServerName, isUserId, type ServerName } from "../model/ids.ts";
import { pseudouserOf } from "../model/pseudouser.ts";
import { isLocalpart } from "../platform/config/sections.ts";
import { parseHttpUrl } from "../platform/config/values.ts";
import { freshTokens, makeRegistration, renderRegistration } from "../platform/registration.ts";
import { CommandFailed, EXIT, wrongUsage, type Ask, type Io } from "./io.ts";
import { faultInReserved, warnOfReserved } from "./reserved.ts";
import { formerFiles, type Former, DEFAULT_LISTEN, listenFor, writtenConfig } from "./register-files.ts";
import { writeTogether } from "./write-file.ts";

interface Flags {
  homeserverUrl?: string;
  serverName?: string;
  url?: string;
  dir: string;
  localpart?: string;
  reserve?: string[];
  aliases?: boolean;
  watchInvites?: boolean;
  force?: true;
  rotate?: true;
}

interface Answers {
  readonly homeserverUrl: string;
  readonly serverName: ServerName;
  readonly url: string;
  readonly localpart: string;
}

const HEADING = "Emissary's registration with its homeserver, which loads this file too. It holds secrets.";

export function addRegister(program: Command, io: Io): void {
  program
    .command("register")
    .description("write registration.yaml for the homeserver and emissary.yaml for Emissary")
    .option("--homeserver-url <url>", "where Emissary reaches the homeserver")
    .option("--server-name <name>", "the homeserver's name, as in its users' IDs")
    .option("--url <url>", "where the homeserver reaches Emissary")
    .option("--dir <dir>", "the folder for both files; made when missing", ".")
    .option("--localpart <localpart>", "the pseudouser's localpart, where the homeserver refuses an empty one")
    .option(
      "--reserve <regex...>",
      "user IDs of tenants' personas, or aliases of their rooms, that people are not to take; adds to those reserved",
    )
    .option("--aliases", "have the homeserver tell of the rooms that its aliases point to (the default)")
    .option("--no-aliases", "not so: such rooms are found by looking only, and aliases cannot be mended")
    .option(
      "--watch-invites",
      "have it tell of invites of its users (invites.take_part): Emissary is sent every event of every room that a local user is " +
        "in, with receipts, typing and presence, and its token lets it act as any of them",
    )
    .option("--no-watch-invites", "no longer")
    .option("--force", "replace the files, keeping their tokens and the settings not named here")
    .option("--rotate", "make new tokens; with --force where there are files")
    .action(async (flags: Flags, command: Command) => {
      if (command.getOptionValueSourceWithGlobals("config") === "cli") {
        throw wrongUsage("register writes emissary.yaml in the folder of --dir; it takes no --config");
      }
      await register(flags, io);
    });
}

async function register(flags: Flags, io: Io): Promise<void> {
  const registrationPath = join(flags.dir, "registration.yaml");
  const configPath = join(flags.dir, "emissary.yaml");
  const present = [registrationPath, configPath].filter((path) => existsSync(path));
  if (present.length > 0 && flags.force !== true) {
    const them = present.length === 1 ? "exists" : "exist";
    const sentence = `${present.join(" and ")} ${them} already. --force replaces them and keeps their tokens.`;
    throw new CommandFailed(EXIT.failed, sentence);
  }

  const former = formerFiles({ registrationPath, configPath });
  former.remarks.forEach((remark) => io.err(remark));
  const answers = await complete(flags, former, io);
  const tokens = (flags.rotate === true ? null : former.tokens) ?? freshTokens(io.random);
  const adminToken = (flags.rotate === true ? null : former.adminToken) ?? io.random.token(32);

  await mkdir(flags.dir, { recursive: true });
  const reserved = [...new Set([...former.reserved, ...(flags.reserve ?? [])])];
  warnOfReserved(flags.reserve ?? [], answers.serverName, io);
  const { aliases = former.told?.aliases ?? true, watchInvites = former.told?.watchInvites ?? false } = flags;
  const registration = renderRegistration(
    makeRegistration({ ...answers, tokens, reserved, aliases, watchInvites }),
    HEADING,
  );
  const config = writtenConfig(former.config, { ...answers, adminToken });
  await writeTogether(
    [
      { path: registrationPath, text: registration },
      { path: configPath, text: config },
    ],
    io.random,
  );
  io.out(nextSteps({ registrationPath, configPath, url: answers.url, given: former.config !== null }));
}

/** Completes the options: given ones first, then the former files, then the operator's answers. */
async function complete(flags: Flags, former: Former, io: Io): Promise<Answers> {
  checkGiven(flags);
  const known = { ...former.answers, ...flags };
  const missing = QUESTIONS.filter(({ key }) => known[key] === undefined);
  if (missing.length > 0) {
    if (io.converse === null) throw wrongUsage(`missing: ${missing.map(({ flag }) => flag).join(", ")}`);
    await io.converse(async (ask) => {
      for (const question of missing) known[question.key] = await answerTo(question, ask, io);
    });
  }

  const { homeserverUrl = "", serverName = "", url = "", localpart = "" } = known;
  if (!isServerName(serverName) || !isUserId(pseudouserOf(serverName, localpart))) {
    throw wrongUsage("--localpart: too long: with the server's name, a user ID has at most 255 bytes");
  }
  return { homeserverUrl: parseHttpUrl(homeserverUrl) ?? "", serverName, url: parseHttpUrl(url) ?? "", localpart };
}

interface Question {
  readonly key: "homeserverUrl" | "serverName" | "url";
  readonly flag: string;
  readonly ask: string;
  readonly proposal: string | null;
  readonly expected: string;
  readonly fits: (answer: string) => boolean;
}

const isUrl = (text: string): boolean => parseHttpUrl(text) !== null;

const QUESTIONS: readonly Question[] = [
  {
    key: "homeserverUrl",
    flag: "--homeserver-url",
    ask: "Where does Emissary reach the homeserver?",
    proposal: "http://127.0.0.1:8008",
    expected: "an http:// or https:// address",
    fits: isUrl,
  },
  {
    key: "serverName",
    flag: "--server-name",
    ask: "What is the homeserver's name, as it stands in its users' IDs (server_name in Synapse)?",
    proposal: null,
    expected: "a server name, such as example.org",
    fits: isServerName,
  },
  {
    key: "url",
    flag: "--url",
    ask: "Where does the homeserver reach Emissary?",
    proposal: `http://${DEFAULT_LISTEN}`,
    expected: "an http:// or https:// address",
    fits: isUrl,
  },
];

function checkGiven(flags: Flags): void {
  const faults = QUESTIONS.flatMap(({ key, flag, expected, fits }) => {
    const given = flags[key];
    return given === undefined || fits(given) ? [] : [`${flag}: expected ${expected}, got ${JSON.stringify(given)}`];
  });
  if (flags.localpart !== undefined && !isLocalpart(flags.localpart)) {
    faults.push(
      `--localpart: expected the letters a-z, digits and . _ = - / +, got ${JSON.stringify(flags.localpart)}`,
    );
  }
  for (const regex of flags.reserve ?? []) {
    const fault = faultInReserved(regex);
    if (fault !== null) faults.push(`--reserve: ${JSON.stringify(regex)} ${fault}`);
  }
  if (faults.length > 0) throw wrongUsage(faults.join("\n"));
}

async function answerTo({ ask: text, proposal, expected, fits }: Question, ask: Ask, io: Io): Promise<string> {
  for (;;) {
    const given = (await ask(`${text}${proposal === null ? "" : ` [${proposal}]`} `)).trim();
    const answer = given === "" && proposal !== null ? proposal : given;
    if (fits(answer)) return answer;
    io.err(`Expected ${expected}.`);
  }
}

function nextSteps(of: { registrationPath: string; configPath: string; url: string; given: boolean }): string {
  const registration = resolve(of.registrationPath);
  const listens = of.given || listenFor(of.url) !== null;
  const note = `
   ${of.url} is another machine's name for this one, and appservice.listen is ${DEFAULT_LISTEN}, which only this
   machine reaches: unless a reverse proxy stands between, set it in emissary.yaml, for example to 0.0.0.0:9009.`;
  return `Wrote ${of.registrationPath} and ${of.configPath}. Both hold secrets, and only you may read them.

Next, with Synapse:
1. Let Synapse's user read the registration, and name it in homeserver.yaml:
     app_service_config_files:
       - ${JSON.stringify(registration)}
2. Restart Synapse: it reads registrations when it starts.
3. Start Emissary:
     emissary run --config ${of.configPath}${listens ? "" : note}`;
}
