/** Namespaces that Emissary's registration keeps from people: tenants' users exist inside Emissary only. */
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { EmissaryError } from "../model/errors.ts";
import { isJsonObject, stringAt } from "../model/json.ts";
import { readYaml } from "../platform/config/files.ts";
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

/** Returns why an expression cannot be reserved, as the end of a sentence; null if it can. */
export function faultInReserved(regex: string): string | null {
  const fault = faultInExpression(regex);
  if (fault !== null) return fault;
  if (!/^\^?\(*[@#]/.test(regex)) return "matches no user ID and no alias: these begin with @ and #";
  if (matchesAll(regex)) return "matches all there are, and nobody could have one any more";
  return null;
}

/** Returns whether an expression matches every name of its servers. Matches begin at the name's beginning. */
function matchesAll(regex: string): boolean {
  const server = /:([^:]*?(?::\d+)?)[$)]*$/.exec(regex)?.[1]?.replaceAll("\\", "") ?? "any.invalid";
  return matchesUnlike(regex, "@", server) || matchesUnlike(regex, "#", server);
}

/** Warns about names besides the personas that an expression reserves, as far as they are known. */
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

/** By convention, appservices' own IDs begin with an underscore, and people's do not. */
export function coversOrdinaryUsers(users: string): boolean {
  return !/^\^?\(*@_/.test(users);
}

/** Returns the users' namespaces in the registration beside a configuration; null if the files cannot be read here. */
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
 * Reserves a tenant's users in the registration beside a configuration, or tells the operator how to. The homeserver
 * sends us invites of reserved users only, and people could take other IDs.
 * @param users the namespace of its personas; null for none
 */
export async function reserveTenant(users: string | null, sender: string, configPath: string, io: Io): Promise<void> {
  const beside = registrationBeside(configPath);
  if (beside === null) return;
  const { path, users: there } = beside;
  // Compares texts: whether one expression covers another cannot be known.
  const isThere = (regex: string): boolean => there.some((one) => one.exclusive && bare(one.regex) === bare(regex));
  const senders = sendersOf(sender.slice(sender.indexOf(":") + 1));
  const missing = [...new Set([senders, ...(users === null ? [] : [users])])].filter((regex) => !isThere(regex));
  if (missing.length === 0) return;
  // Only the operator may reserve what may be people's IDs.
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

/** Returns whether a replacement of this file would have the same readers. */
function isOursToWrite(path: string): boolean {
  const { uid, mode } = statSync(path);
  return process.getuid?.() === uid && (mode & 0o777) === 0o600;
}

/** Removes anchors: homeservers match at the beginning anyway. */
function bare(regex: string): string {
  return regex.replace(/^\^/, "").replace(/\$$/, "");
}
