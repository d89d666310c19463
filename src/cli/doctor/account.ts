import { stringAt } from "../../model/json.ts";
import { loadingAnew } from "../../platform/registration.ts";
import type { Heard, Reply } from "./asker.ts";
import { whyNotAsked, type Check, type Context } from "./context.ts";
import { quoted, type Found } from "./finding.ts";
import { loadAnew } from "./registration.ts";

/**
 * Tells apart two faults with one symptom: we may not act as the pseudouser. Registering it answers M_EXCLUSIVE if the
 * namespace is not ours alone, M_USER_IN_USE if it exists, or another error if its name is rejected.
 */
interface Account {
  /**
   * `shared`, `exclusive`: somebody else's namespace covers it, and we may still act as it, or not; `not-ours`: it
   * exists, and we may not act as it; `mistaken`: when we act as it, the homeserver takes us for another user.
   */
  readonly kind: "untold" | "shared" | "exclusive" | "not-ours" | "refused" | "mistaken" | "made" | "there";
  /** The homeserver's words; for `untold`, the cause. */
  readonly words: string;
}

async function accountOf(context: Context): Promise<Account> {
  const hindered = await whyNotAsked(context);
  if (hindered !== null) return { kind: "untold", words: hindered };
  const acting = await context.homeserver.whoamiAsPseudouser();
  if (!isUsable(acting, [200, 400, 403, 404])) return untold(acting);
  const registered = await context.homeserver.register();
  if (!isUsable(registered, [200, 400, 403])) return untold(registered);

  const { own } = context;
  const taken = acting.status === 200 ? (stringAt(acting.body, "user_id") ?? "nobody") : null;
  const words = wordsOf(registered);
  if (registered.errcode === "M_EXCLUSIVE") return { kind: taken === own ? "shared" : "exclusive", words };
  if (taken === own) return { kind: "there", words };
  if (taken !== null) return { kind: "mistaken", words: `acting as ${own}, we are taken for ${quoted(taken)}` };
  if (registered.status === 200) return { kind: "made", words };
  if (registered.errcode === "M_USER_IN_USE") return { kind: "not-ours", words: wordsOf(acting) };
  return { kind: "refused", words };
}

export const namespace: Check = async (context, found) => {
  const { kind, words } = await accountOf(context);
  const { own, config } = context;
  switch (kind) {
    case "untold":
      return found.skipped(words);
    case "shared":
      return shared(context, found, words);
    case "exclusive":
      return /reserved/i.test(words) ? shared(context, found, words) : missing(context, found, words);
    case "not-ours":
      return missing(context, found, words);
    default:
      return found.ok(`the homeserver gives ${own} to us (${config.registration.id})`);
  }
};

function shared({ own }: Context, found: Found, words: string) {
  return found.failure({
    what: `${own} is reserved by another appservice too: ${words}`,
    why: "Another registration has a namespace that matches every user, such as @.* with exclusive: true.",
    do: "Make that namespace narrower, for example ^@_bridge_.*, in the other appservice's registration, and restart the homeserver.",
  });
}

function missing({ own, config }: Context, found: Found, words: string) {
  return found.failure({
    what: `By the registration that the homeserver has loaded, ${own} is not ours: ${words}`,
    why: "pseudouser.localpart or the registration was changed after the homeserver loaded it, or another appservice reserves the user.",
    do: `${loadAnew(config.appservice.registration)} If that was done, look for the user in the other registrations' namespaces.`,
  });
}

export const pseudouser: Check = async (context, found) => {
  const { kind, words } = await accountOf(context);
  const { own } = context;
  switch (kind) {
    case "untold":
      return found.skipped(words);
    case "exclusive":
    case "not-ours":
      return found.skipped("its namespace is not ours");
    case "made":
      return found.ok(`${own} was made just now`);
    case "shared":
    case "there":
      return found.ok(`${own} exists`);
    case "mistaken":
    case "refused":
      return refused(context, found, words);
  }
};

function refused({ own, config }: Context, found: Found, words: string) {
  const isEmpty = config.pseudouser.localpart === "";
  const [word, name] = isEmpty ? ["Take an ordinary name", "_server"] : ["Choose another name", "NAME"];
  return found.failure({
    what: `The homeserver does not take the pseudouser ${own}: ${words}`,
    why: isEmpty
      ? "It refuses users whose localpart is empty (Dendrite and Tuwunel do)."
      : "It refuses this name, or does not let appservices register users.",
    do: `${word}: emissary register --localpart ${name} --force, then ${loadingAnew(config.appservice.registration)}.`,
  });
}

function isUsable(reply: Reply, statuses: readonly number[]): reply is Heard {
  return reply.heard && statuses.includes(reply.status);
}

function untold(reply: Reply): Account {
  const words = reply.heard
    ? `the homeserver answers ${wordsOf(reply)}`
    : `the homeserver stopped answering: ${reply.why}`;
  return { kind: "untold", words };
}

/** Returns the homeserver's words about its refusal, for our sentences. */
export function wordsOf({ status, errcode, error }: Heard): string {
  return quoted(`${errcode ?? `status ${status}`}: ${error ?? "no reason given"}`);
}
