/** Namespaces that Emissary's own registration keeps from people: the users of tenants exist inside Emissary only. */
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { EmissaryError } from "../model/errors.ts";
import { isJsonObject, stringAt } from "../model/json.ts";
import { readYaml } from "../platform/config/yaml-file.ts";
import { faultInExpression } from "../platform/expressions.ts";
import {
  isOfAliases,
  matchesUnlike,
  registrationSchema,
  sendersOf,
  type Registration,
} from "../platform/registration.ts";
import { loadAnew } from "./doctor/registration.ts";
import type { Io } from "./io.ts";
import { neutral } from "./text.ts";
import { writeTogether } from "./write-file.ts";

/** What is wrong with an expression to be reserved, as the end of a sentence; null where nothing is. */
export function faultInReserved(regex: string): string | null {
  const fault = faultInExpression(regex);
  if (fault !== null) return fault;
  if (!/^\^?\(*[@#]/.test(regex)) return "matches no user ID and no alias: these begin with @ and #";
  if (matchesAll(regex)) return "matches all there are, and nobody could have one any more";
  return null;
}

/** Whether an expression takes in every name of the servers that it is for. It begins to match at the name's beginning. */
function matchesAll(regex: string): boolean {
  const server = /:([^:]*?(?::\d+)?)[$)]*$/.exec(regex)?.[1]?.replaceAll("\\", "") ?? "any.invalid";
  return matchesUnlike(regex, "@", server) || matchesUnlike(regex, "#", server);
}

/** Says what an expression takes in besides the personas, where it can be told. */
export function warnOfReserved(regexes: readonly string[], serverName: string, io: Io): void {
  for (const regex of regexes) {
    if (!isOfAliases(regex) && coversOrdinaryUsers(regex)) {
      io.err(
        `Warning: --reserve ${neutral(regex)} does not begin with @_: people whose IDs match can no longer register.`,
      );
    }
    if (!regex.replaceAll("\\", "").includes(`:${serverName}`)) {
      io.err(
        `Warning: --reserve ${neutral(regex)} does not name :${serverName}: the homeserver then sends Emissary other servers' rooms with such names or users, too.`,
      );
    }
  }
}

/** By custom, IDs that appservices make for themselves begin with an underscore, and people's do not. */
export function coversOrdinaryUsers(users: string): boolean {
  return !/^\^?\(*@_/.test(users);
}

/** The namespaces of users in the registration beside a configuration; null where the files cannot be read here. */
function registrationBeside(configPath: string): { readonly path: string; readonly users: Namespaces } | null {
  try {
    const config = readYaml(configPath);
    const appservice = isJsonObject(config) ? (config["appservice"] ?? null) : null;
    const named = isJsonObject(appservice) ? stringAt(appservice, "registration") : null;
    const path = resolve(dirname(resolve(configPath)), named ?? "registration.yaml");
    const file = registrationSchema.pick({ namespaces: true }).safeParse(readYaml(path));
    return file.success ? { path, users: file.data.namespaces.users } : null;
  } catch (error) {
    if (error instanceof EmissaryError) return null;
    throw error;
  }
}

type Namespaces = Registration["namespaces"]["users"];

/**
 * Has the registration beside a configuration reserve a tenant's users, or says what the operator has to do for that: the homeserver tells
 * of invites of such users only, and people could take their IDs.
 * @param users the namespace of its personas; null for none
 */
export async function reserveTenant(users: string | null, sender: string, configPath: string, io: Io): Promise<void> {
  const beside = registrationBeside(configPath);
  if (beside === null) return;
  const { path, users: there } = beside;
  // Expressions are compared as texts: whether one takes in all that another does cannot be told.
  const isThere = (regex: string): boolean => there.some((one) => one.exclusive && bare(one.regex) === bare(regex));
  const senders = sendersOf(sender.slice(sender.indexOf(":") + 1));
  const missing = [...new Set([senders, ...(users === null ? [] : [users])])].filter((regex) => !isThere(regex));
  if (missing.length === 0) return;
  // What may be people's IDs is reserved at the operator's word only.
  const isPlain = missing.every((regex) => faultInReserved(regex) === null && !coversOrdinaryUsers(regex));
  if (isPlain && isOursToWrite(path)) {
    const file = parseDocument(readFileSync(path, "utf8"));
    for (const regex of missing) file.addIn(["namespaces", "users"], file.createNode({ exclusive: true, regex }));
    await writeTogether([{ path, text: file.toString({ lineWidth: 0 }) }], io.random);
    io.err(`Reserved ${neutral(missing.join(" and "))} in ${path}. ${loadAnew(path)}`);
    return;
  }
  const options = users === null || isThere(users) ? "" : ` --reserve '${neutral(users)}'`;
  io.err(
    `Warning: nothing at the homeserver reserves ${neutral(missing.join(" and "))}: people or other appservices may take such IDs, and ` +
      `nobody can invite them. To reserve them: emissary register --force${options}. ${loadAnew(path)}`,
  );
}

/** Whether a file that replaces this one is as much its readers' as it is now. */
function isOursToWrite(path: string): boolean {
  const { uid, mode } = statSync(path);
  return process.getuid?.() === uid && (mode & 0o777) === 0o600;
}

/** Homeservers match at the beginning anyway. */
function bare(regex: string): string {
  return regex.replace(/^\^/, "").replace(/\$$/, "");
}
