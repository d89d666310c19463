import { stringAt } from "../../model/json.ts";
import {
  claimsAll,
  loadingAnew,
  registrationSchema,
  sendersOf,
  isOfAliases,
  reservedIn,
} from "../../platform/registration.ts";
import { type Check, quoted, whyNotAsked } from "./context.ts";
import type { UserId } from "../../model/ids.ts";
import { compileExpression } from "../../platform/expressions.ts";
import type { Reply } from "./asker.ts";

/** Returns what an operator must do after a change of the registration. */
export function loadAnew(path: string): string {
  const clause = loadingAnew(path);
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}

/** Whether the homeserver knows our as_token, and as ours. */
export const registration: Check = async ({ homeserver, config }, found) => {
  const versions = await homeserver.versions();
  if (!versions.heard) return found.skipped("the homeserver gives no answer");
  const path = config.appservice.registration;
  const reply = await homeserver.whoami();
  if (!reply.heard) {
    return found.failure({
      what: `The homeserver tells its versions, but not who we are: ${reply.why}.`,
      why: "It is overloaded, or a proxy stands between.",
      do: "Look into its log, or put its direct address into homeserver.url.",
    });
  }
  if (reply.status === 401 || reply.errcode === "M_UNKNOWN_TOKEN") {
    return found.failure({
      what: `The homeserver does not know our as_token: ${quoted(`${reply.errcode ?? reply.status}: ${reply.error ?? ""}`)}`,
      why: "It has not loaded the registration, was not restarted since, or has loaded one with other tokens.",
      do: loadAnew(path),
    });
  }
  // Some servers name the sender only once it is registered, which it need not be: they know the token all the same.
  if (reply.status === 403) return found.ok("the homeserver knows our as_token");
  if (reply.status !== 200) {
    return found.failure({
      what: `The homeserver does not tell who we are: status ${reply.status}, ${quoted(reply.error ?? "no reason given")}`,
      why: "It is failing or limits us, or a proxy stands between.",
      do: "Look into its log, or put its direct address into homeserver.url.",
    });
  }
  const taken = stringAt(reply.body, "user_id") ?? "nobody";
  const sender = `@${config.registration.senderLocalpart}:${config.homeserver.serverName}`;
  if (taken !== sender) {
    return found.failure({
      what: `The homeserver takes us for ${quoted(taken)}, and by our files we are ${sender}.`,
      why: "homeserver.server_name is not the homeserver's, or it has loaded another registration with the same as_token.",
      do: `Compare homeserver.server_name with the homeserver's own. If they agree: ${loadAnew(path)}`,
    });
  }
  return found.ok("the homeserver has loaded it and knows our as_token");
};

/** Reads our copy, like the next check: no homeserver tells which namespaces it has loaded. */
export const watchedNamespaces: Check = async ({ registrationFile, config }, found) => {
  const { registration: path } = config.appservice;
  const { serverName } = config.homeserver;
  const file = registrationSchema.pick({ namespaces: true }).safeParse(registrationFile);
  if (!file.success) return found.skipped("the registration has no namespaces that can be read");
  const all = {
    aliases: claimsAll(file.data.namespaces, "#", serverName),
    users: claimsAll(file.data.namespaces, "@", serverName),
  };
  if (config.invites.takePart && !all.users) {
    return found.failure({
      what: "invites.take_part is on, and the homeserver is not asked to tell of its users' invites.",
      why: "The registration was written without --watch-invites.",
      do: `emissary register --force --watch-invites. ${loadAnew(path)}`,
    });
  }
  if (config.aliases.keep && !all.aliases) {
    return found.warning({
      what: "aliases.keep is on, and the homeserver is not asked to tell of the rooms that its aliases point to.",
      why: "The registration was written with --no-aliases, or by an earlier version. Aliases are found by looking only, and not mended.",
      do: `emissary register --force --aliases. ${loadAnew(path)}`,
    });
  }
  if (all.users && !config.invites.takePart) {
    return found.warning({
      what: "The homeserver sends Emissary all that happens in its users' rooms, and invites.take_part, which needs it, is off.",
      why: "The registration was written with --watch-invites.",
      do: `Set invites.take_part: true, or emissary register --force --no-watch-invites. ${loadAnew(path)}`,
    });
  }
  const isTold = (regex: string): boolean =>
    file.data.namespaces.users.some((one) => one.exclusive && one.regex === regex);
  if (!isTold(sendersOf(serverName))) {
    return found.warning({
      what:
        "The homeserver is not asked to tell of invites of tenants by their own IDs, so nobody can invite a bot by its own; and looks into " +
        "rooms are not shared, since Emissary may not act as their reader.",
      why: "The registration was written by an earlier version.",
      do: `emissary register --force. ${loadAnew(path)}`,
    });
  }
  return found.ok("the homeserver is asked to tell what the configuration needs");
};

/** Reads our copy: no homeserver tells whether it limits us. */
export const rateLimits: Check = async ({ registrationFile, config }, found) => {
  const path = config.appservice.registration;
  const given = registrationFile["rate_limited"];
  if (given === false) return found.ok("the registration asks for none");
  return found.warning({
    what: `The registration has ${given === undefined ? "no rate_limited" : `rate_limited: ${quoted(JSON.stringify(given))}`}, so the homeserver slows Emissary down like a user.`,
    why: "The line was changed, or the file was written by hand. Many homeservers limit appservices that do not say otherwise.",
    do: `Set rate_limited: false in ${path} (emissary register --force writes it). ${loadAnew(path)}`,
  });
};

/** Most expressions that are tried; each costs a request. */
const MOST = 20;

/**
 * Whether the homeserver has loaded the namespaces that our copy reserves for tenants. It does not list them, but
 * acting as a user fails differently if the user does not exist and if the user is not ours.
 */
export const reservedNamespaces: Check = async (context, found) => {
  const hindered = await whyNotAsked(context);
  if (hindered !== null) return found.skipped(hindered);
  const { config, homeserver, own } = context;
  const file = registrationSchema.pick({ namespaces: true }).safeParse(context.registrationFile);
  if (!file.success) return found.skipped("the registration has no namespaces that can be read");
  const users = reservedIn(file.data.namespaces, own).filter((regex) => !isOfAliases(regex));
  const tried = users.flatMap((regex) => exampleOf(regex, config.homeserver.serverName) ?? []).slice(0, MOST);
  if (tried.length === 0) return found.ok(users.length === 0 ? "none is reserved" : "none could be tried");
  const missing: string[] = [];
  for (const { regex, userId } of tried) {
    if (isNotOurs(await homeserver.whoamiAs(userId))) missing.push(quoted(regex));
  }
  if (missing.length > 0) {
    return found.failure({
      what: `The registration reserves users that the homeserver does not know as ours: ${missing.join(", ")}`,
      why: "It was not given the registration as it is now, or was not restarted since. Until then invites of these users do not arrive, and people can take their IDs.",
      do: loadAnew(config.appservice.registration),
    });
  }
  return found.ok(`the homeserver has loaded what is reserved (tried: ${tried.length})`);
};

/** Synapse says that we cannot masquerade; others use the specification's errcode or mention the namespace. */
function isNotOurs(reply: Reply): boolean {
  if (!reply.heard || reply.status === 200) return false;
  return reply.errcode === "M_EXCLUSIVE" || /masquerade|namespace/i.test(reply.error ?? "");
}

/** Returns a user that an expression matches, with a word for each wildcard; null if none is found. */
function exampleOf(regex: string, server: string): { readonly regex: string; readonly userId: UserId } | null {
  const text = regex
    .replace(/^\^/, "")
    .replace(/\$$/, "")
    .replace(/(?:\[[^\]]*\]|(?<!\\)\.|\\[wd])(?:[*+]\??|\{\d+(?:,\d*)?\})/g, "0emissary0doctor0")
    .replace(/\\(.)/g, "$1");
  const compiled = compileExpression(regex);
  if (!("expression" in compiled)) return null;
  const texts = [text, `${text}:${server}`, text.replace(/[()]/g, "").split("|")[0] ?? ""];
  const userId = texts.find((each) => each.endsWith(`:${server}`) && compiled.expression.matches(each));
  return userId === undefined ? null : { regex, userId: userId as UserId };
}
