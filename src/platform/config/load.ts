import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { z } from "zod";
import { EmissaryError } from "../../model/errors.ts";
import { isUserId } from "../../model/ids.ts";
import { isJsonObject, type JsonObject } from "../../model/json.ts";
import { pseudouserOf } from "../../model/pseudouser.ts";
import { readerOf } from "../../model/reader.ts";
import { claimsUser, registrationSchema, type Registration } from "../registration.ts";
import { camelKeys, deepFreeze, type AdminAccess, type Config } from "./config.ts";
import { contradictions } from "./contradictions.ts";
import { faultsOf, shown, unknownKey } from "./faults.ts";
import { ADMIN_TOKEN, ADMIN_TOKEN_EXPECTED, forServer, sections, type SectionName } from "./sections.ts";
import { secretFrom, secretInFile, type Environment, isOpenToOthers, readYaml } from "./files.ts";

export interface Source {
  /** The path of emissary.yaml. Paths inside it are relative to its folder. */
  readonly path: string;
  readonly env: Environment;
}

/**
 * Reads, checks and freezes the whole configuration, including the registration. Warnings do not prevent a start.
 * @throws EmissaryError `bad-config` with all mistakes at once
 */
export function load(source: Source): { config: Config; warnings: string[] } {
  const raw = readSections(source.path);
  const mistakes = new Mistakes(source.path);
  const folder = dirname(resolve(source.path));
  for (const key of Object.keys(raw).filter((name) => !(name in sections))) {
    mistakes.add(unknownKey(key, key, Object.keys(sections)));
  }

  const at = <Name extends SectionName>(name: Name) => mistakes.section(name, raw);
  const access = homeserverAccess(raw, source, mistakes);
  const user = at("pseudouser");
  const listener = at("appservice");
  const files = listener && { ...listener, registration: resolve(folder, listener.registration) };
  const read = {
    homeserver: access,
    pseudouser: user,
    appservice: files,
    gateway: at("gateway"),
    peek: at("peek"),
    admin: adminAccess(raw, source, mistakes),
    storage: at("storage"),
    attendance: at("attendance"),
    policy: at("policy"),
    aliases: at("aliases"),
    invites: at("invites"),
    log: at("log"),
    registration: readRegistration(files?.registration ?? pathOfRegistration(raw, folder), source.env, mistakes),
  };
  mistakes.add(...contradictions(read));
  if (!mistakes.none || !isWhole(read)) throw mistakes.error();
  const { homeserver, pseudouser, appservice, storage, attendance, registration } = read;
  if (!isUserId(pseudouserOf(homeserver.serverName, pseudouser.localpart))) {
    throw mistakes
      .add("pseudouser.localpart: too long: with the server's name, a user ID has at most 255 bytes")
      .error();
  }

  const config: Config = {
    ...read,
    pseudouser: { ...pseudouser, displayname: forServer(pseudouser.displayname, homeserver.serverName) },
    storage: { ...storage, sqlite: resolve(folder, storage.sqlite) },
    attendance: { ...attendance, joinReason: forServer(attendance.joinReason, homeserver.serverName) },
    registration: {
      id: registration.id,
      asToken: registration.as_token,
      hsToken: registration.hs_token,
      senderLocalpart: registration.sender_localpart,
      claimsReader: claimsUser(registration, readerOf(homeserver.serverName), homeserver.serverName),
      url: appservice.url,
      reservedAliases: registration.namespaces.aliases.filter(({ exclusive }) => exclusive).map(({ regex }) => regex),
    },
  };
  return { config: deepFreeze(config), warnings: openFiles(source.path, raw, appservice.registration) };
}

type Whole<Parts> = { readonly [Key in keyof Parts]: NonNullable<Parts[Key]> };

function isWhole<Parts extends object>(parts: Parts): parts is Parts & Whole<Parts> {
  return Object.values(parts).every((part) => part !== null);
}

/**
 * Reads only what clients of the daemon need, so they work while the operator edits another section.
 * @throws EmissaryError `bad-config`
 */
export function loadAdminAccess(source: Source): AdminAccess {
  const mistakes = new Mistakes(source.path);
  const access = adminAccess(readSections(source.path), source, mistakes);
  if (access === null) throw mistakes.error();
  return deepFreeze(access);
}

class Mistakes {
  readonly #path: string;
  readonly #sentences: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  get none(): boolean {
    return this.#sentences.length === 0;
  }

  add(...sentences: readonly string[]): this {
    this.#sentences.push(...sentences);
    return this;
  }

  /** Returns a section's values, or null if it has a mistake. */
  section<Name extends SectionName>(name: Name, raw: JsonObject) {
    const schema = sections[name];
    const result = schema.safeParse(raw[name]);
    if (result.success) return camelKeys(result.data as z.output<(typeof sections)[Name]>);
    this.add(...faultsOf(schema, result.error, raw[name], name));
    return null;
  }

  /** Returns the result of `read`. If that throws an EmissaryError, records a mistake of `key` and returns null. */
  attempt<T>(read: () => T, key?: string): T | null {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      this.add(key === undefined ? error.message : `${key}: ${error.message}`);
      return null;
    }
  }

  error(): EmissaryError {
    const count = this.#sentences.length === 1 ? "a mistake" : `${this.#sentences.length} mistakes`;
    const lines = this.#sentences.map((sentence) => `  ${sentence}`);
    return new EmissaryError("bad-config", [`${this.#path} has ${count}:`, ...lines].join("\n"));
  }
}

/** Returns the file's sections. A missing one, or one with all keys commented out, is empty. */
function readSections(path: string): JsonObject {
  if (!existsSync(path)) {
    const hint = "`emissary register` writes one, --config names another";
    throw new EmissaryError("bad-config", `${path} does not exist: ${hint}`);
  }
  const raw = readYaml(path) ?? {};
  if (!isJsonObject(raw)) throw new EmissaryError("bad-config", `${path}: expected sections of keys and values`);
  const empty = Object.keys(sections).map((name) => [name, {}]);
  const given = Object.entries(raw).filter(([, value]) => value !== null);
  return Object.fromEntries([...empty, ...given]) as JsonObject;
}

function adminAccess(raw: JsonObject, { path, env }: Source, mistakes: Mistakes): AdminAccess | null {
  const section = mistakes.section("admin", raw);
  if (section === null) return null;
  if (section.token !== undefined && section.tokenFile !== undefined) {
    mistakes.add("admin.token and admin.token_file are both given: only one of them may be");
    return null;
  }
  const { tokenFile } = section;
  const token = mistakes.attempt(
    () =>
      secretFrom(env, "EMISSARY_ADMIN_TOKEN") ??
      (tokenFile === undefined ? null : secretInFile(resolve(dirname(path), tokenFile), "admin.token_file")) ??
      section.token ??
      "",
  );
  if (token === null) return null;
  if (token === "") {
    mistakes.add(`admin.token: missing; expected ${ADMIN_TOKEN_EXPECTED}`);
    return null;
  }
  if (!ADMIN_TOKEN.test(token)) {
    const where = token === section.token ? "admin.token" : "the admin token from a file or the environment";
    mistakes.add(`${where}: expected ${ADMIN_TOKEN_EXPECTED}, got ${shown(token, true)}`);
    return null;
  }
  return { listen: section.listen, token };
}

/** The admin token has no key in emissary.yaml, which should hold one secret, not two. */
function homeserverAccess(raw: JsonObject, { path, env }: Source, mistakes: Mistakes): Config["homeserver"] | null {
  const section = mistakes.section("homeserver", raw);
  if (section === null) return null;
  const { adminTokenFile, ...homeserver } = section;
  const adminToken = mistakes.attempt(() => {
    const key = "homeserver.admin_token_file";
    const given = secretFrom(env, "EMISSARY_HOMESERVER_ADMIN_TOKEN");
    return given ?? (adminTokenFile === undefined ? "" : secretInFile(resolve(dirname(path), adminTokenFile), key));
  });
  if (adminToken === null) return null;
  if (adminToken === "") return homeserver;
  if (/^[\x21-\x7e]+$/.test(adminToken)) return { ...homeserver, adminToken };
  mistakes.add(`the homeserver's admin token: expected printable ASCII without spaces, got ${shown(adminToken, true)}`);
  return null;
}

/** Returns the registration's path even if its section has a mistake, to report its mistakes, too. */
function pathOfRegistration(raw: JsonObject, folder: string): string | null {
  const section = raw["appservice"];
  if (!isJsonObject(section)) return null;
  const path = sections.appservice.shape.registration.safeParse(section["registration"]);
  return path.success ? resolve(folder, path.data) : null;
}

/** Returns the registration, with the environment's tokens before the file's; null if something is wrong with it. */
function readRegistration(path: string | null, env: Environment, mistakes: Mistakes): Registration | null {
  if (path === null) return null;
  const key = "appservice.registration";
  const tokens = mistakes.attempt(() => ({
    as_token: secretFrom(env, "EMISSARY_AS_TOKEN"),
    hs_token: secretFrom(env, "EMISSARY_HS_TOKEN"),
  }));
  const file = mistakes.attempt(() => readYaml(path), key);
  if (tokens === null || file === null) return null;
  if (!isJsonObject(file)) {
    mistakes.add(`${key}: ${path}: expected keys and values`);
    return null;
  }
  const given = Object.entries(tokens).filter(([, token]) => token !== null);
  const raw = { ...file, ...Object.fromEntries(given) };
  const result = registrationSchema.safeParse(raw);
  if (result.success) return result.data;
  mistakes.add(...faultsOf(registrationSchema, result.error, raw, "").map((fault) => `${key}: ${path}: ${fault}`));
  return null;
}

function openFiles(path: string, raw: JsonObject, registration: string): string[] {
  const admin = raw["admin"];
  const holdsToken = isJsonObject(admin) && typeof admin["token"] === "string";
  return [...(holdsToken ? [path] : []), registration]
    .filter(isOpenToOthers)
    .map((file) => `${file} holds secrets and is open to other users of this machine: chmod 600 ${file}`);
}
