import { existsSync, readFileSync } from "node:fs";
import { isMap, parseDocument, type Document } from "yaml";
import { EmissaryError } from "../model/errors.ts";
import { isServerName } from "../model/ids.ts";
import { isJsonObject, stringAt } from "../model/json.ts";
import { pseudouserOf } from "../model/pseudouser.ts";
import { ADMIN_TOKEN, SAMPLE_ADMIN_TOKEN } from "../platform/config/admin.ts";
import { isLocalpart } from "../platform/config/pseudouser.ts";
import { parseHttpUrl } from "../platform/config/values.ts";
import { readYaml } from "../platform/config/yaml-file.ts";
import {
  claimsAll,
  registrationSchema,
  reservedIn,
  SAMPLE_TOKENS,
  type RegistrationTokens,
} from "../platform/registration.ts";

/** What an earlier `register` left that the next one keeps. */
export interface Former {
  /** emissary.yaml with its comments; null where there is none that can be read. */
  readonly config: Document | null;
  readonly tokens: RegistrationTokens | null;
  readonly adminToken: string | null;
  /** Namespaces besides the pseudouser's. */
  readonly reserved: readonly string[];
  /** Whether it took in all aliases, and all users, of this server; null where there is no registration that can be read. */
  readonly told: { readonly aliases: boolean; readonly watchInvites: boolean } | null;
  readonly answers: {
    readonly homeserverUrl?: string;
    readonly serverName?: string;
    readonly url?: string;
    readonly localpart?: string;
  };
  /** Sentences for the operator: what could not be kept. */
  readonly remarks: readonly string[];
}

export const NO_FORMER_FILES: Former = {
  config: null,
  tokens: null,
  adminToken: null,
  reserved: [],
  told: null,
  answers: {},
  remarks: [],
};

export function formerFiles(paths: { registrationPath: string; configPath: string }): Former {
  const remarks: string[] = [];
  const tokens = formerTokens(paths.registrationPath, remarks);
  const config = formerConfig(paths.configPath, remarks);
  const answers = formerAnswers(config);
  const namespaces = formerNamespaces(paths.registrationPath, answers);
  return { config, tokens, adminToken: formerAdminToken(config), ...namespaces, answers, remarks };
}

function formerNamespaces(
  path: string,
  { serverName, localpart = "" }: Former["answers"],
): Pick<Former, "reserved" | "told"> {
  if (!existsSync(path)) return { reserved: [], told: null };
  const file = registrationSchema.pick({ namespaces: true }).safeParse(readable(path));
  if (!file.success) return { reserved: [], told: null };
  const { namespaces } = file.data;
  if (serverName === undefined || !isServerName(serverName))
    return { reserved: reservedIn(namespaces, null), told: null };
  return {
    reserved: reservedIn(namespaces, pseudouserOf(serverName, localpart)),
    told: {
      aliases: claimsAll(namespaces, "#", serverName),
      watchInvites: claimsAll(namespaces, "@", serverName),
    },
  };
}

function formerTokens(path: string, remarks: string[]): RegistrationTokens | null {
  if (!existsSync(path)) return null;
  const registration = registrationSchema.pick({ as_token: true, hs_token: true }).safeParse(readable(path));
  if (!registration.success) {
    remarks.push(`${path} holds no tokens that can be kept: it gets new ones.`);
    return null;
  }
  const { as_token: asToken, hs_token: hsToken } = registration.data;
  const isSample = asToken === SAMPLE_TOKENS.asToken || hsToken === SAMPLE_TOKENS.hsToken;
  return isSample ? null : { asToken, hsToken };
}

function formerConfig(path: string, remarks: string[]): Document | null {
  if (!existsSync(path)) return null;
  const document = isJsonObject(readable(path)) ? parseDocument(readFileSync(path, "utf8")) : null;
  if (document !== null && isMap(document.contents)) return document;
  remarks.push(`${path} cannot be read as YAML: it is written anew, and nothing of it is kept.`);
  return null;
}

function formerAdminToken(config: Document | null): string | null {
  const token = config?.getIn(["admin", "token"]);
  return typeof token === "string" && ADMIN_TOKEN.test(token) && token !== SAMPLE_ADMIN_TOKEN ? token : null;
}

/** Values with a mistake count as none: the operator is asked again. */
function formerAnswers(config: Document | null): Former["answers"] {
  const at = (section: string, key: string, fits: (text: string) => boolean): string | undefined => {
    const values: unknown = config?.toJS();
    const inside = isJsonObject(values) ? values[section] : null;
    const value = isJsonObject(inside) ? stringAt(inside, key) : null;
    return value !== null && fits(value) ? value : undefined;
  };
  const isUrl = (text: string): boolean => parseHttpUrl(text) !== null;
  const found = {
    homeserverUrl: at("homeserver", "url", isUrl),
    serverName: at("homeserver", "server_name", isServerName),
    url: at("appservice", "url", isUrl),
    localpart: at("pseudouser", "localpart", isLocalpart),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function readable(path: string): unknown {
  try {
    return readYaml(path);
  } catch (error) {
    if (error instanceof EmissaryError) return null;
    throw error;
  }
}
