import { programVersion } from "../../platform/version.ts";
import { moment, spoken } from "../text.ts";
import type { Check, Context } from "./context.ts";
import { quoted, type Found } from "./finding.ts";
import { loadAnew } from "./registration.ts";

export const daemon: Check = async (context, found) => {
  const state = await context.daemon();
  switch (state.kind) {
    case "untold":
      return found.skipped(state.why);
    case "down":
      return found.failure({
        what: state.why,
        why: "It was not started, or it has ended: its log says why. Or admin.listen was changed since it started.",
        do: `emissary run --config ${context.source.path}`,
      });
    case "other-token":
      return found.failure({
        what: state.why,
        why: "admin.token was changed since the daemon started, or it is another Emissary's daemon.",
        do: "Restart the daemon; if that changes nothing, give admin.listen another port.",
      });
    case "foreign":
      return found.failure({
        what: state.why,
        why: "Another program has the port, or the daemon is of another version than this command.",
        do: "Restart the daemon; if that changes nothing, give admin.listen another port.",
      });
    case "running":
  }
  const { status } = state;
  if (!status.ready) {
    return found.failure({
      what: `The daemon runs and is not ready: ${quoted(status.not_ready_because ?? "it does not say why")}`,
      why: "It tries until the homeserver knows the pseudouser. The findings about the homeserver say what is in the way.",
      do: "Repair those first. The daemon goes on by itself.",
    });
  }
  if (status.version !== programVersion()) {
    return found.warning({
      what: `The daemon is version ${quoted(status.version)}, and this command is ${programVersion()}.`,
      why: "Emissary was updated and the daemon not restarted.",
      do: "Restart the daemon.",
    });
  }
  return found.ok(`ready, up ${spoken(status.uptime_ms)}`);
};

/** Finds a second daemon that holds our database, is called by mistake, or receives our events. */
export const instances: Check = async (context, found) => {
  const { config, own, machine } = context;
  const state = await context.daemon();
  if (state.kind === "running") {
    const { pseudouser, homeserver } = state.status;
    if (pseudouser !== own || homeserver.server_name !== config.homeserver.serverName) {
      return found.failure({
        what: `The daemon at ${state.client.address} serves ${quoted(pseudouser)}, and this configuration is for ${own}.`,
        why: "Two Emissaries share a machine and an admin token, or the configuration was changed and the daemon not restarted.",
        do: "Restart the daemon; if that changes nothing, give each Emissary its own admin.listen and admin.token.",
      });
    }
  }
  const holder = state.kind === "down" ? await machine.holderOf(config.storage.sqlite) : null;
  if (holder !== null || (state.kind === "down" && (await context.listener()) === "ours")) {
    return found.failure({
      what: `A daemon runs, but not at admin.listen of this configuration. ${holder ?? "It listens at appservice.listen and knows our hs_token."}`,
      why: "It was started with another configuration file, or admin.listen was changed since it started.",
      do: "Restart it with this configuration, or name its configuration with --config.",
    });
  }
  return (await context.receiver()) === "somebody-else" ? replaced(context, found) : found.ok("no second daemon seen");
};

function replaced({ config }: Context, found: Found) {
  const { url, registration } = config.appservice;
  return found.failure({
    what: "The homeserver's ping was answered, and not by this daemon: somebody else receives what is sent to Emissary.",
    why: `A second Emissary, or an old one that still runs, has the same registration; or another service answers at the registration's url (here ${url}).`,
    do: `Stop the other one; to keep both, give one a registration of its own, with emissary register in a new folder. If there is no other, see to it that ${url} leads from the homeserver to appservice.listen. ${loadAnew(registration)}`,
  });
}

/** The daemon compares received events with the homeserver's rooms; only it knows when the last one came. */
export const delivery: Check = async (context, found) => {
  const state = await context.daemon();
  if (state.kind !== "running") return found.skipped("only the running daemon knows what arrives");
  const { status } = state;
  if (!status.ready) return found.skipped("the daemon is not ready");
  const { last_at: last } = status.intake;
  const since = last === null ? "nothing came since the start" : `the last transaction came at ${moment(last)}`;
  if (status.delivery.state === "flowing") {
    return found.ok(
      status.rooms.present === 0 ? `in no room, so there is nothing to miss; ${since}` : `nothing is missing; ${since}`,
    );
  }
  const { since: missing, cause } = status.delivery;
  const problem = {
    what: `The homeserver has not sent what happened in rooms${missing === null ? "" : ` since ${moment(missing)}`}; ${since}.`,
    why:
      cause === null
        ? "It reaches Emissary and does not send: its queue for appservices is stuck or far behind."
        : `It does not reach Emissary: ${quoted(cause)}`,
    do:
      cause === null
        ? "Restart the homeserver, and look into its log for the appservice's ID."
        : "Repair what the finding about the address says. The homeserver then sends all that it kept.",
  };
  return status.delivery.state === "stalled" ? found.failure(problem) : found.warning(problem);
};
