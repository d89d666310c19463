/**
 * Registrations of application services (spec, application service API, "Registration"): Emissary's own for the
 * homeserver, and those that Emissary gives its tenants, as if a homeserver had asked for them.
 */
import { stringify } from "yaml";
import { z } from "zod";
import type { Random } from "../model/clock.ts";
import { localpartOf, type ServerName, type UserId } from "../model/ids.ts";
import { pseudouserOf } from "../model/pseudouser.ts";
import { SENDER_PREFIX, type Tenant } from "../model/tenant.ts";
import { expecting } from "./config/values.ts";
import { compileExpression, faultInExpression } from "./expressions.ts";

const text = () => expecting("a text", z.string().min(1));
const token = () =>
  expecting("a token of printable ASCII without spaces", z.string().regex(/^[\x21-\x7e]+$/), { secret: true });
const namespace = () => z.array(z.looseObject({ exclusive: z.boolean(), regex: text() })).prefault([]);

/** A registration file. Unknown keys pass: the format is open, and homeservers add their own. */
export const registrationSchema = z.looseObject({
  id: text(),
  url: expecting("an address, or null", z.string().nullable()),
  as_token: token(),
  hs_token: token(),
  sender_localpart: expecting("a text", z.string()),
  namespaces: z.looseObject({ users: namespace(), aliases: namespace(), rooms: namespace() }),
});
export type Registration = z.output<typeof registrationSchema>;

export interface RegistrationTokens {
  /** The appservice presents it to the homeserver. */
  readonly asToken: string;
  /** The homeserver presents it to the appservice. */
  readonly hsToken: string;
}

/** The tokens in the sample registration.yaml. Everybody knows them, so loading refuses them. */
export const SAMPLE_TOKENS: RegistrationTokens = {
  asToken: "sample-as-token-to-be-replaced",
  hsToken: "sample-hs-token-to-be-replaced",
};

/**
 * Returns how a change of our registration takes effect, as a clause: the homeserver and we read it at the start.
 * @param path the file's path, as far as the caller knows it
 */
export function loadingAnew(path = "the registration"): string {
  return `give the homeserver ${path} as it is now (Synapse: app_service_config_files), and restart it and Emissary`;
}

export const OWN_ID = "emissary";

/**
 * An ordinary sender, as which nobody ever acts. Some servers and libraries refuse an empty sender_localpart, so the
 * pseudouser is a namespace instead.
 */
export const OWN_SENDER = "_emissary";

export function freshTokens(random: Random): RegistrationTokens {
  return { asToken: random.token(32), hsToken: random.token(32) };
}

/**
 * Makes Emissary's own registration.
 * @param of.reserved namespaces of tenants' users, which people cannot register, and of aliases, which homeservers
 * otherwise do not let us create
 * @param of.aliases whether to receive all rooms with an alias of this server, and to repair these aliases
 * @param of.watchInvites whether to receive all rooms of local users
 */
export function makeRegistration(of: {
  readonly url: string;
  readonly serverName: ServerName;
  readonly localpart: string;
  readonly tokens: RegistrationTokens;
  readonly reserved?: readonly string[];
  readonly aliases?: boolean;
  readonly watchInvites?: boolean;
}): Registration {
  const { reserved = [], aliases = true, watchInvites = false } = of;
  return {
    id: OWN_ID,
    url: of.url,
    as_token: of.tokens.asToken,
    hs_token: of.tokens.hsToken,
    sender_localpart: OWN_SENDER,
    rate_limited: false,
    receive_ephemeral: true,
    namespaces: {
      users: [
        ...[
          exactly(pseudouserOf(of.serverName, of.localpart)),
          sendersOf(of.serverName),
          ...reserved.filter((regex) => !isOfAliases(regex)),
        ].map(exclusively),
        ...(watchInvites ? [inCommon("@", of.serverName)] : []),
      ],
      aliases: [...reserved.filter(isOfAliases).map(exclusively), ...(aliases ? [inCommon("#", of.serverName)] : [])],
      rooms: [],
    },
  };
}

/**
 * Returns the namespace of all tenants' senders, present and future. It makes homeservers send us invites of a tenant
 * by its ID, and lets us answer them.
 */
export function sendersOf(server: string): string {
  return `^@${SENDER_PREFIX}.*:${escaped(server)}$`;
}

function isOfSenders(regex: string): boolean {
  return regex.startsWith(`^@${SENDER_PREFIX}.*:`);
}

/** Returns the reserved namespaces besides tenants' senders and the pseudouser (the first one if `own` is null). */
export function reservedIn({ users, aliases }: Registration["namespaces"], own: UserId | null): string[] {
  const others = own === null ? users.slice(1) : users.filter(({ regex }) => regex !== exactly(own));
  return [...others, ...aliases]
    .filter(({ exclusive, regex }) => exclusive && !isOfSenders(regex))
    .map(({ regex }) => regex);
}

/** Returns whether a registration covers all users (`@`) or all aliases (`#`) of the server. */
export function claimsAll(
  { users, aliases }: Registration["namespaces"],
  sigil: "@" | "#",
  server: ServerName,
): boolean {
  return (sigil === "@" ? users : aliases).some(({ regex }) => matchesUnlike(regex, sigil, server));
}

/** Localparts with nothing in common, not even a length: an expression that matches both matches any. */
const UNLIKE = ["q", "7_z=.k-v"];

/** Returns whether an expression matches every name of a server, beginning at its start, as homeservers do. */
export function matchesUnlike(regex: string, sigil: "@" | "#", server: string): boolean {
  return UNLIKE.every((localpart) => matchesExpression(regex, `${sigil}${localpart}:${server}`));
}

/** Returns whether an expression is for aliases, by the sigil at its beginning. */
export function isOfAliases(regex: string): boolean {
  return /^\^?\(*#/.test(regex);
}

function exclusively(regex: string): { readonly exclusive: true; readonly regex: string } {
  return { exclusive: true, regex };
}

/** Matches all names of the server without reserving them. */
function inCommon(sigil: "@" | "#", server: ServerName): { readonly exclusive: false; readonly regex: string } {
  return { exclusive: false, regex: `^${sigil}.*:${escaped(server)}$` };
}

/** Makes the registration that a tenant loads. Without a namespace of personas its only user is its sender. */
export function makeTenantRegistration(
  tenant: Pick<Tenant, "id" | "url" | "sender" | "users" | "ephemeral">,
  tokens: RegistrationTokens,
): Registration {
  return {
    id: tenant.id,
    url: tenant.url,
    as_token: tokens.asToken,
    hs_token: tokens.hsToken,
    sender_localpart: localpartOf(tenant.sender),
    rate_limited: false,
    ...(tenant.ephemeral && { receive_ephemeral: true }),
    namespaces: {
      users: [{ exclusive: true, regex: tenant.users ?? exactly(tenant.sender) }],
      aliases: [],
      rooms: [],
    },
  };
}

/** Returns an anchored expression for one user ID, in the common syntax of Python, Go, Rust and JavaScript. */
function exactly(userId: UserId): string {
  return `^${escaped(userId)}$`;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Returns whether the registration lets its appservice act as the user. An invalid expression matches nobody. */
export function claimsUser(registration: Registration, userId: UserId, server: ServerName): boolean {
  if (userId === `@${registration.sender_localpart}:${server}`) return true;
  return registration.namespaces.users.some(({ regex }) => matchesExpression(regex, userId));
}

/** Returns what is wrong with the expressions of a registration's users, each as a sentence without its full stop. */
export function faultsInNamespaces({ namespaces }: Registration): string[] {
  return namespaces.users.flatMap(({ regex }) => {
    const fault = faultInExpression(regex);
    return fault === null ? [] : [`${JSON.stringify(regex.slice(0, 80))} ${fault}`];
  });
}

function matchesExpression(regex: string, text: string): boolean {
  const compiled = compileExpression(regex);
  return "expression" in compiled && compiled.expression.matches(text);
}

const NOTES: Readonly<Record<string, string>> = {
  url: "Where the homeserver sends events.",
  as_token:
    "The appservice proves itself to the homeserver with the first token, the homeserver to it with the second.",
  sender_localpart: "The user that the appservice takes itself for where it names none.",
  rate_limited: "The homeserver does not slow the appservice down.",
  receive_ephemeral: "Receipts, typing and presence are wanted too.",
  namespaces: "What is the appservice's alone (exclusive), and what it is told of.",
};

/** Returns the registration as a YAML file that begins with `heading`, a text of one or more lines. */
export function renderRegistration(registration: Readonly<Record<string, unknown>>, heading: string): string {
  const comment = heading.split("\n").map((line) => `# ${line}`.trimEnd());
  const body = Object.entries(registration).flatMap(([key, value]) => {
    const note = NOTES[key];
    const yaml = stringify({ [key]: value }, { lineWidth: 0, singleQuote: true }).trimEnd();
    return note === undefined ? [yaml] : [`# ${note}`, yaml];
  });
  return `${[...comment, "", ...body].join("\n")}\n`;
}
