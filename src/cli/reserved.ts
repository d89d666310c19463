/** Namespaces that Emissary's own registration keeps from people: the users of tenants exist inside Emissary only. */
import { dirname, resolve } from "node:path";
import { EmissaryError } from "../model/errors.ts";
import { isJsonObject, stringAt } from "../model/json.ts";
import { readYaml } from "../platform/config/yaml-file.ts";
import { faultInExpression } from "../platform/expressions.ts";
import { isOfAliases, matchesUnlike, registrationSchema } from "../platform/registration.ts";
import type { Io } from "./io.ts";
import { neutral } from "./text.ts";

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

/**
 * Whether the registration beside a configuration reserves these users; null where the files cannot be read here. Expressions are
 * compared as texts: whether one takes in all that another does cannot be told.
 */
export function isReserved(users: string, configPath: string): boolean | null {
  try {
    const config = readYaml(configPath);
    const appservice = isJsonObject(config) ? (config["appservice"] ?? null) : null;
    const named = isJsonObject(appservice) ? stringAt(appservice, "registration") : null;
    const path = resolve(dirname(resolve(configPath)), named ?? "registration.yaml");
    const file = registrationSchema.pick({ namespaces: true }).safeParse(readYaml(path));
    if (!file.success) return null;
    return file.data.namespaces.users.some(({ exclusive, regex }) => exclusive && bare(regex) === bare(users));
  } catch (error) {
    if (error instanceof EmissaryError) return null;
    throw error;
  }
}

/** Homeservers match at the beginning anyway. */
function bare(regex: string): string {
  return regex.replace(/^\^/, "").replace(/\$$/, "");
}
