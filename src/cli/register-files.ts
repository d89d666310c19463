import { isMap, parseDocument, type Document } from "yaml";
import { sections, ADMIN_TOKEN, SAMPLE_ADMIN_TOKEN, isLocalpart } from "../platform/config/sections.ts";
import { formatListen, parseListen, parseHttpUrl } from "../platform/config/values.ts";
import { existsSync, readFileSync } from "node:fs";
import { EmissaryError } from "../model/errors.ts";
import { isServerName } from "../model/ids.ts";
import { isJsonObject } from "../model/json.ts";
import { pseudouserOf } from "../model/pseudouser.ts";
import { readYaml } from "../platform/config/files.ts";
import {
  claimsAll,
  registrationSchema,
  reservedIn,
  SAMPLE_TOKENS,
  type Registration,
  type RegistrationTokens,
} from "../platform/registration.ts";

export const DEFAULT_LISTEN = sections.appservice.shape.listen.def.defaultValue;

const NEW = `# Emissary's configuration, written by \`emissary register\`. It holds a secret.
# All other keys, with their defaults, are in config.sample.yaml.

homeserver:
  # Where Emissary reaches the homeserver.
  url: ""
  server_name: ""

appservice:
  # Where the homeserver reaches Emissary; registration.yaml says the same.
  url: ""

admin:
  # \`emissary status\` and the other commands show this to the running daemon.
  token: ""
`;

/** Returns emissary.yaml with these values: the former file with its comments and other settings, or a new one. */
export function writtenConfig(
  former: Document | null,
  values: {
    readonly homeserverUrl: string;
    readonly serverName: string;
    readonly url: string;
    readonly localpart: string;
    readonly adminToken: string;
  },
): string {
  const document = former ?? parseDocument(NEW);
  set(document, "homeserver", "url", values.homeserverUrl);
  set(document, "homeserver", "server_name", values.serverName);
  set(document, "appservice", "url", values.url);
  const listen = listenFor(values.url);
  if (former === null && listen !== null && listen !== DEFAULT_LISTEN) set(document, "appservice", "listen", listen);
  // The registration is written beside this file under its default name.
  if (document.hasIn(["appservice", "registration"])) set(document, "appservice", "registration", "registration.yaml");
  if (values.localpart !== "" || document.hasIn(["pseudouser", "localpart"])) {
    set(document, "pseudouser", "localpart", values.localpart);
  }
  // The operator changes a token in a separate file.
  if (!document.hasIn(["admin", "token_file"])) set(document, "admin", "token", values.adminToken);
  return document.toString({ lineWidth: 0 });
}

/** Returns the listen address that serves `url`; null unless that is on this machine and without TLS. */
export function listenFor(url: string): string | null {
  const { protocol, hostname, port } = new URL(url);
  const local = hostname === "localhost" ? "127.0.0.1" : hostname;
  if (protocol !== "http:" || port === "" || (local !== "127.0.0.1" && local !== "[::1]")) return null;
  const address = parseListen(`${local}:${port}`);
  return address && formatListen(address);
}

function set(document: Document, section: string, key: string, value: string): void {
  // A section with all keys commented out is null, and null holds no keys.
  if (!isMap(document.get(section))) document.set(section, document.createNode({}));
  document.setIn([section, key], value);
}

/** What the next `register` keeps of an earlier one. */
export interface Former {
  /** emissary.yaml with its comments; null if none can be read. */
  readonly config: Document | null;
  readonly tokens: RegistrationTokens | null;
  readonly adminToken: string | null;
  /** Namespaces besides the pseudouser's. */
  readonly reserved: readonly string[];
  /** Whether it covered all aliases, and all users, of this server; null if no registration can be read. */
  readonly told: { readonly aliases: boolean; readonly watchInvites: boolean } | null;
  readonly answers: {
    readonly homeserverUrl?: string;
    readonly serverName?: string;
    readonly url?: string;
    readonly localpart?: string;
  };
  /** Sentences for the operator about what could not be kept. */
  readonly remarks: readonly string[];
}

/** Reads the former files. Missing files keep nothing and cause no remark. */
export function formerFiles(paths: { registrationPath: string; configPath: string }): Former {
  const remarks: string[] = [];
  const { tokens, namespaces } = formerRegistration(paths.registrationPath, remarks);
  const config = formerConfig(paths.configPath, remarks);
  const at = (section: string, key: string, fits: (text: string) => boolean): string | undefined => {
    const value = config?.getIn([section, key]);
    return typeof value === "string" && fits(value) ? value : undefined;
  };
  const isUrl = (text: string): boolean => parseHttpUrl(text) !== null;
  // Invalid values count as missing: the operator is asked again.
  const answers = {
    homeserverUrl: at("homeserver", "url", isUrl),
    serverName: at("homeserver", "server_name", isServerName),
    url: at("appservice", "url", isUrl),
    localpart: at("pseudouser", "localpart", isLocalpart),
  };
  const { serverName = "" } = answers;
  const server = isServerName(serverName) ? serverName : null;
  const own = server === null ? null : pseudouserOf(server, answers.localpart ?? "");
  return {
    config,
    tokens,
    adminToken: at("admin", "token", (token) => ADMIN_TOKEN.test(token) && token !== SAMPLE_ADMIN_TOKEN) ?? null,
    reserved: namespaces === null ? [] : reservedIn(namespaces, own),
    told:
      namespaces === null || server === null
        ? null
        : { aliases: claimsAll(namespaces, "#", server), watchInvites: claimsAll(namespaces, "@", server) },
    answers: Object.fromEntries(Object.entries(answers).filter(([, value]) => value !== undefined)),
    remarks,
  };
}

function formerRegistration(
  path: string,
  remarks: string[],
): { readonly tokens: RegistrationTokens | null; readonly namespaces: Registration["namespaces"] | null } {
  if (!existsSync(path)) return { tokens: null, namespaces: null };
  const file = readable(path);
  const namespaces = registrationSchema.pick({ namespaces: true }).safeParse(file).data?.namespaces ?? null;
  const tokens = registrationSchema.pick({ as_token: true, hs_token: true }).safeParse(file);
  if (!tokens.success) {
    remarks.push(`${path} holds no tokens that can be kept: it gets new ones.`);
    return { tokens: null, namespaces };
  }
  const { as_token: asToken, hs_token: hsToken } = tokens.data;
  const isSample = asToken === SAMPLE_TOKENS.asToken || hsToken === SAMPLE_TOKENS.hsToken;
  return { tokens: isSample ? null : { asToken, hsToken }, namespaces };
}

function formerConfig(path: string, remarks: string[]): Document | null {
  if (!existsSync(path)) return null;
  const document = isJsonObject(readable(path)) ? parseDocument(readFileSync(path, "utf8")) : null;
  if (document !== null && isMap(document.contents)) return document;
  remarks.push(`${path} cannot be read as YAML: it is written anew, and nothing of it is kept.`);
  return null;
}

function readable(path: string): unknown {
  try {
    return readYaml(path);
  } catch (error) {
    if (error instanceof EmissaryError) return null;
    throw error;
  }
}
