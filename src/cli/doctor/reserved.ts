import type { UserId } from "../../model/ids.ts";
import { compileExpression } from "../../platform/expressions.ts";
import { isOfAliases, registrationSchema, reservedIn } from "../../platform/registration.ts";
import { whyNotAsked, type Check } from "./context.ts";
import { quoted } from "./finding.ts";
import type { Reply } from "./asker.ts";
import { loadAnew } from "./registration.ts";

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
export function exampleOf(regex: string, server: string): { readonly regex: string; readonly userId: UserId } | null {
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
