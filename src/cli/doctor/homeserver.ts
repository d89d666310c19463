import { knowsInvitePermission } from "../../attendance/invites/invite-permission.ts";
import type { JsonObject } from "../../model/json.ts";
import { whyNotAsked, type Check } from "./context.ts";
import { quoted } from "./finding.ts";

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
