import { stringAt } from "../../model/json.ts";
import { whyNotAsked, type Check, type Context } from "./context.ts";
import { quoted, type Found } from "./finding.ts";
import type { Heard, Reply } from "./asker.ts";
import { loadingAnew } from "../../platform/registration.ts";
import { loadAnew } from "./registration.ts";

/**
 * Two faults with one sign: the homeserver does not let us act as the pseudouser. Registering it tells them apart. In a
 * namespace that is not ours, or not ours alone, that is answered M_EXCLUSIVE; a name that the homeserver does not take is
 * answered otherwise. A pseudouser that is there already is M_USER_IN_USE, and nothing changes.
 */
type Account =
  | { readonly kind: "untold"; readonly why: string }
  /** Somebody else's namespace covers the pseudouser; `known`: we may act as it nevertheless. */
  | { readonly kind: "exclusive"; readonly known: boolean; readonly words: string }
  /** It exists, and we may not act as it. */
  | { readonly kind: "not-ours"; readonly words: string }
  | { readonly kind: "refused"; readonly words: string }
  /** Acting as the pseudouser, we are taken for somebody else. */
  | { readonly kind: "mistaken"; readonly taken: string }
  | { readonly kind: "made" }
  | { readonly kind: "there" };

async function accountOf(context: Context): Promise<Account> {
  const hindered = await whyNotAsked(context);
  if (hindered !== null) return { kind: "untold", why: hindered };
  const acting = await context.homeserver.whoamiAsPseudouser();
  if (!isUsable(acting, [200, 400, 403, 404])) return untold(acting);
  const registered = await context.homeserver.register();
  if (!isUsable(registered, [200, 400, 403])) return untold(registered);

  const taken = acting.status === 200 ? (stringAt(acting.body, "user_id") ?? "nobody") : null;
  const known = taken === context.own;
  if (registered.errcode === "M_EXCLUSIVE") return { kind: "exclusive", known, words: wordsOf(registered) };
  if (taken !== null) return known ? { kind: "there" } : { kind: "mistaken", taken };
  if (registered.status === 200) return { kind: "made" };
  if (registered.errcode === "M_USER_IN_USE") return { kind: "not-ours", words: wordsOf(acting) };
  return { kind: "refused", words: wordsOf(registered) };
}

export const namespace: Check = async (context, found) => {
  const account = await accountOf(context);
  const { own, config } = context;
  switch (account.kind) {
    case "untold":
      return found.skipped(account.why);
    case "exclusive":
      return account.known || /reserved/i.test(account.words)
        ? found.failure({
            what: `${own} is reserved by another appservice too: ${account.words}`,
            why: "Another registration has a namespace that matches every user, such as @.* with exclusive: true.",
            do: "Make that namespace narrower, for example ^@_bridge_.*, in the other appservice's registration, and restart the homeserver.",
          })
        : missing(context, found, account.words);
    case "not-ours":
      return missing(context, found, account.words);
    default:
      return found.ok(`the homeserver gives ${own} to us (${config.registration.id})`);
  }
};

function missing({ own, config }: Context, found: Found, words: string) {
  return found.failure({
    what: `By the registration that the homeserver has loaded, ${own} is not ours: ${words}`,
    why: "pseudouser.localpart or the registration was changed after the homeserver loaded it, or another appservice reserves the user.",
    do: `${loadAnew(config.appservice.registration)} If that was done, look for the user in the other registrations' namespaces.`,
  });
}

export const pseudouser: Check = async (context, found) => {
  const account = await accountOf(context);
  const { own } = context;
  switch (account.kind) {
    case "untold":
      return found.skipped(account.why);
    case "exclusive":
      return account.known ? found.ok(`${own} exists`) : found.skipped("its namespace is not ours");
    case "not-ours":
      return found.skipped("its namespace is not ours");
    case "made":
      return found.ok(`${own} was made just now`);
    case "there":
      return found.ok(`${own} exists`);
    case "mistaken":
      return refused(context, found, `acting as ${own}, we are taken for ${quoted(account.taken)}`);
    case "refused":
      return refused(context, found, account.words);
  }
};

function refused({ own, config }: Context, found: Found, words: string) {
  if (config.pseudouser.localpart !== "") {
    return found.failure({
      what: `The homeserver does not take the pseudouser ${own}: ${words}`,
      why: "It refuses this name, or does not let appservices register users.",
      do: `Choose another name: emissary register --localpart NAME --force, then ${loadingAnew(config.appservice.registration)}.`,
    });
  }
  return found.failure({
    what: `The homeserver does not take the pseudouser ${own}: ${words}`,
    why: "It refuses users whose localpart is empty (Dendrite and Tuwunel do).",
    do: `Take an ordinary name: emissary register --localpart _server --force, then ${loadingAnew(config.appservice.registration)}.`,
  });
}

function isUsable(reply: Reply, statuses: readonly number[]): reply is Heard {
  return reply.heard && statuses.includes(reply.status);
}

function untold(reply: Reply): Account {
  const why = reply.heard
    ? `the homeserver answers ${wordsOf(reply)}`
    : `the homeserver stopped answering: ${reply.why}`;
  return { kind: "untold", why };
}

function wordsOf({ status, errcode, error }: Heard): string {
  return quoted(`${errcode ?? `status ${status}`}: ${error ?? "no reason given"}`);
}
