import { knowsInvitePermission } from "../../attendance/invites/invite-permission.ts";
import { type JsonObject, stringAt } from "../../model/json.ts";
import { whyNotAsked, type Check, quoted, type Context } from "./context.ts";
import { loadingAnew } from "../../platform/registration.ts";
import type { Heard, Reply } from "./asker.ts";
import { loadAnew } from "./registration.ts";

/** v1.1 added the paths below /_matrix/client/v3, which all of Emissary uses (spec, changelog of v1.1). */
const OLDEST = 1;
/** v1.7 added the ping (MSC2659). Without it a wrong address is noticed only when nothing arrives. */
const WITH_PING = 7;

export const homeserver: Check = async ({ homeserver: server, config }, found) => {
  const { url } = config.homeserver;
  const reply = await server.versions();
  if (!reply.heard) {
    return found.failure({
      what: `The homeserver gives no answer at ${url}: ${reply.why}.`,
      why: "It is not running, or homeserver.url is not its address as seen from this machine.",
      do: `Start it, or correct homeserver.url. To try by hand: curl ${url}/_matrix/client/versions`,
    });
  }
  if (versionsIn(reply.body) === null) {
    return found.failure({
      what: `What answers at ${url} is no homeserver that works: status ${reply.status}${reply.error === null ? "" : `, ${quoted(reply.error)}`}.`,
      why: "A web server or a proxy stands there that does not pass /_matrix on, or the homeserver is starting or failing.",
      do: "Put the homeserver's direct address into homeserver.url, or look into its log.",
    });
  }
  return found.ok(`answers at ${url}`);
};

export const homeserverVersion: Check = async ({ homeserver: server, config }, found) => {
  const reply = await server.versions();
  const versions = reply.heard ? versionsIn(reply.body) : null;
  if (versions === null) return found.skipped("the homeserver does not tell its versions");
  const newest = Math.max(-1, ...versions.map((version) => Number(/^v1\.(\d+)$/.exec(version)?.[1] ?? -1)));
  if (newest < OLDEST) {
    return found.failure({
      what: `The homeserver is too old: it knows the Matrix specification up to ${quoted(versions.at(-1) ?? "nothing")}, and v1.${OLDEST} is needed.`,
      why: "It is a version from before 2022, or a server that is not complete.",
      do: "Update the homeserver.",
    });
  }
  if (newest < WITH_PING) {
    return found.warning({
      what: `The homeserver knows the Matrix specification up to v1.${newest}; the ping of appservices came with v1.${WITH_PING}.`,
      why: "It is an older version. Emissary works with it, but it cannot be tried whether it reaches Emissary.",
      do: "Update the homeserver.",
    });
  }
  if (config.policy.ownInvites === "block" && reply.heard && !knowsInvitePermission(reply.body)) {
    return found.warning({
      what: "policy.own_invites is block, and the homeserver does not know how to refuse invites (m.invite_permission_config).",
      why: "That came with v1.18 of the specification.",
      do: "Nothing, or update the homeserver: until then invites of the pseudouser are declined as they come.",
    });
  }
  return found.ok(`knows the Matrix specification up to v1.${newest}`);
};

/**
 * Asks for the summary of an unknown room: servers have the path of v1.15 (MSC3266), or its predecessor, long before
 * they list v1.15. Only "there is no such path" is a fault.
 */
export const roomSummary: Check = async (context, found) => {
  const hindered = await whyNotAsked(context);
  if (hindered !== null) return found.skipped(hindered);
  const acting = await context.homeserver.whoamiAsPseudouser();
  if (!acting.heard || acting.status !== 200) return found.skipped("Emissary cannot act as the pseudouser yet");
  const room = encodeURIComponent(`!emissary-doctor:${context.config.homeserver.serverName}`);
  for (const path of ["v1/room_summary", "unstable/im.nheko.summary/summary"]) {
    const reply = await context.homeserver.callAs(context.own, "GET", `/_matrix/client/${path}/${room}`);
    if (!reply.heard) return found.skipped(`the homeserver stopped answering: ${reply.why}`);
    const isMissing = reply.errcode === "M_UNRECOGNIZED" || (reply.status === 404 && reply.errcode === null);
    if (!isMissing) return found.ok(`summaries of rooms at /_matrix/client/${path}`);
  }
  return found.failure({
    what: "The homeserver gives no summaries of rooms, so policy can judge no room and tenants can enter none.",
    why: "It is too old, has the feature switched off (older Synapse: experimental_features, msc3266_enabled), or a proxy does not pass the path on.",
    do: "Update the homeserver, or put its direct address into homeserver.url.",
  });
};

/** Returns the homeserver's versions; null if no homeserver answers like this. */
function versionsIn(body: JsonObject): string[] | null {
  const versions = body["versions"];
  return Array.isArray(versions) ? versions.filter((version) => typeof version === "string") : null;
}

const MOST_MS = 30_000;

/** Leases, tokens and journals expire by the clock, and events are compared with the homeserver's times. */
export const clock: Check = async (context, found) => {
  const state = await context.daemon();
  const answers = {
    "the homeserver's": await context.homeserver.versions(),
    "the daemon's": state.kind === "running" ? await context.asker.ask("GET", `${state.client.address}/health`) : null,
  };
  const clocks = Object.entries(answers).map(([whose, reply]) => [whose, reply?.heard ? reply.ahead : null] as const);
  const known = clocks.flatMap(([whose, ahead]) => (ahead === null ? [] : [[whose, ahead] as const]));
  if (known.length === 0) return found.skipped("neither the homeserver nor the daemon tells its time");
  const [whose, ahead] = known.reduce((worst, one) => (Math.abs(one[1]) > Math.abs(worst[1]) ? one : worst));
  const apart = Math.round(Math.abs(ahead) / 1000);
  if (Math.abs(ahead) <= MOST_MS) return found.ok(`agrees with ${known.map(([name]) => name).join(" and ")}`);
  return found.warning({
    what: `This machine's clock is ${apart} s ${ahead > 0 ? "behind" : "ahead of"} ${whose}.`,
    why: "One of the machines does not set its clock by the network.",
    do: "Switch on time synchronisation (on Linux: timedatectl set-ntp true) on both.",
  });
};

/**
 * Tells apart two faults with one symptom: we may not act as the pseudouser. Registering it answers M_EXCLUSIVE if the
 * namespace is not ours alone, M_USER_IN_USE if it exists, or another error if its name is rejected.
 */
interface Account {
  /**
   * `shared`, `exclusive`: somebody else's namespace covers it, and we may still act as it, or not; `not-ours`: it
   * exists, and we may not act as it; `mistaken`: when we act as it, the homeserver takes us for another user.
   */
  readonly kind: "unknown" | "shared" | "exclusive" | "not-ours" | "refused" | "mistaken" | "made" | "there";
  /** The homeserver's words; for `unknown`, the cause. */
  readonly words: string;
}

async function accountOf(context: Context): Promise<Account> {
  const hindered = await whyNotAsked(context);
  if (hindered !== null) return { kind: "unknown", words: hindered };
  const acting = await context.homeserver.whoamiAsPseudouser();
  if (!isUsable(acting, [200, 400, 403, 404])) return unanswered(acting);
  const registered = await context.homeserver.register();
  if (!isUsable(registered, [200, 400, 403])) return unanswered(registered);

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
  if (kind === "unknown") return found.skipped(words);
  if (kind === "shared" || (kind === "exclusive" && /reserved/i.test(words))) {
    return found.failure({
      what: `${own} is reserved by another appservice too: ${words}`,
      why: "Another registration has a namespace that matches every user, such as @.* with exclusive: true.",
      do: "Make that namespace narrower, for example ^@_bridge_.*, in the other appservice's registration, and restart the homeserver.",
    });
  }
  if (kind === "exclusive" || kind === "not-ours") {
    return found.failure({
      what: `By the registration that the homeserver has loaded, ${own} is not ours: ${words}`,
      why: "pseudouser.localpart or the registration was changed after the homeserver loaded it, or another appservice reserves the user.",
      do: `${loadAnew(config.appservice.registration)} If that was done, look for the user in the other registrations' namespaces.`,
    });
  }
  return found.ok(`the homeserver gives ${own} to us (${config.registration.id})`);
};

export const pseudouser: Check = async (context, found) => {
  const { kind, words } = await accountOf(context);
  const { own, config } = context;
  if (kind === "unknown") return found.skipped(words);
  if (kind === "exclusive" || kind === "not-ours") return found.skipped("its namespace is not ours");
  if (kind === "made") return found.ok(`${own} was made just now`);
  if (kind === "shared" || kind === "there") return found.ok(`${own} exists`);
  const isEmpty = config.pseudouser.localpart === "";
  const advice = isEmpty ? "Take an ordinary name" : "Choose another name";
  const name = isEmpty ? "_server" : "NAME";
  return found.failure({
    what: `The homeserver does not take the pseudouser ${own}: ${words}`,
    why: isEmpty
      ? "It refuses users whose localpart is empty (Dendrite and Tuwunel do)."
      : "It refuses this name, or does not let appservices register users.",
    do: `${advice}: emissary register --localpart ${name} --force, then ${loadingAnew(config.appservice.registration)}.`,
  });
};

function isUsable(reply: Reply, statuses: readonly number[]): reply is Heard {
  return reply.heard && statuses.includes(reply.status);
}

function unanswered(reply: Reply): Account {
  const words = reply.heard
    ? `the homeserver answers ${wordsOf(reply)}`
    : `the homeserver stopped answering: ${reply.why}`;
  return { kind: "unknown", words };
}

/** Returns the homeserver's words about its refusal, for our sentences. */
export function wordsOf({ status, errcode, error }: Heard): string {
  return quoted(`${errcode ?? `status ${status}`}: ${error ?? "no reason given"}`);
}
