import { programVersion } from "../../platform/version.ts";
import { moment, spoken } from "../text.ts";
import { type Check, type Context, quoted, type Found, whyNotAsked, type Finding } from "./context.ts";
import { loadAnew } from "./registration.ts";
import { stringAt } from "../../model/json.ts";
import { wordsOf } from "./homeserver.ts";
import type { Heard } from "./asker.ts";
import type { AdminClient } from "../admin-client.ts";
import { overlapTexts } from "../tenant-grants.ts";

const RESTART = "Restart the daemon; if that changes nothing, give admin.listen another port.";

export const daemon: Check = async (context, found) => {
  const state = await context.daemon();
  if (state.kind === "unknown") return found.skipped(state.why);
  if (state.kind !== "running") {
    const causes = {
      down: "It was not started, or it has ended: its log says why. Or admin.listen was changed since it started.",
      "other-token": "admin.token was changed since the daemon started, or it is another Emissary's daemon.",
      foreign: "Another program has the port, or the daemon is of another version than this command.",
    };
    const repair = state.kind === "down" ? `emissary run --config ${context.source.path}` : RESTART;
    return found.failure({ what: state.why, why: causes[state.kind], do: repair });
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
  if ((await context.receiver()) !== "somebody-else") return found.ok("no second daemon seen");
  const { url, registration } = config.appservice;
  return found.failure({
    what: "The homeserver's ping was answered, and not by this daemon: somebody else receives what is sent to Emissary.",
    why: `A second Emissary, or an old one that still runs, has the same registration; or another service answers at the registration's url (here ${url}).`,
    do: `Stop the other one; to keep both, give one a registration of its own, with emissary register in a new folder. If there is no other, see to it that ${url} leads from the homeserver to appservice.listen. ${loadAnew(registration)}`,
  });
};

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

/** The ping: with it the homeserver itself confirms our address and the hs_token. */
export const address: Check = async (context, found) => {
  const hindered = await whyNotAsked(context);
  if (hindered !== null) return found.skipped(hindered);
  const daemon = await context.daemon();
  if (daemon.kind === "down" && (await context.listener()) === "silent") {
    return found.skipped("the daemon is not running, so nobody is there to be reached");
  }
  const { config, homeserver } = context;
  const receiver = await context.receiver();
  if (receiver === "somebody-else") {
    return found.skipped("the homeserver reaches somebody else in this daemon's place");
  }
  const reply = await homeserver.ping();
  if (!reply.heard) {
    return found.failure({
      what: `Asked to call Emissary at ${config.appservice.url}, the homeserver did not come back: ${reply.why}.`,
      why: "Packets to that address are swallowed, by a firewall for example.",
      do: "Open the way from the homeserver to Emissary, or correct appservice.url.",
    });
  }
  if (reply.status === 200 || receiver === "daemon") {
    if ((await context.listener()) === "other-token") {
      return found.warning({
        what: "The homeserver reaches Emissary, but registration.yaml now has another hs_token than the one that both use.",
        why: "The registration was changed since the daemon started. After its next start the homeserver would be turned away.",
        do: `Have both use it: restart the daemon. ${loadAnew(config.appservice.registration)}`,
      });
    }
    const took = reply.body["duration_ms"];
    return found.ok(`the homeserver reaches us${typeof took === "number" ? ` in ${took} ms` : ""}`);
  }
  return refusal(context, found, reply);
};

async function refusal(context: Context, found: Found, reply: Heard): Promise<Finding> {
  const { config } = context;
  const { url, registration } = config.appservice;
  const words = wordsOf(reply);
  switch (reply.errcode) {
    case "M_CONNECTION_FAILED":
      return found.failure({
        what: `The homeserver cannot reach Emissary: ${words}`,
        why: await whyNoConnection(context),
        do: `See to it that ${url} leads from the homeserver to appservice.listen. After a change of the address: emissary register --force. ${loadAnew(registration)}`,
      });
    case "M_CONNECTION_TIMEOUT":
      return found.failure({
        what: `The homeserver reaches Emissary's address and gets no answer in time: ${words}`,
        why: "A firewall swallows the packets, or the daemon hangs.",
        do: `Try from the homeserver's machine: curl -X POST ${url}/_matrix/app/v1/ping`,
      });
    case "M_URL_NOT_SET":
      return found.failure({
        what: `The homeserver has no address for Emissary: ${words}`,
        why: "It has loaded a registration with url: null.",
        do: loadAnew(registration),
      });
    case "M_BAD_STATUS":
      return badStatus(context, found, reply, words);
    case "M_UNRECOGNIZED":
      return found.skipped("this homeserver cannot ping (it came with v1.7 of the specification)");
    case "M_FORBIDDEN":
      return found.failure({
        what: `The homeserver does not know our as_token under the ID ${quoted(config.registration.id)}: ${words}`,
        why: "It has loaded a registration with another id.",
        do: loadAnew(registration),
      });
    default:
      if (reply.status === 404 || reply.status === 405) {
        return found.skipped(`this homeserver, or a proxy before it, has no ping (status ${reply.status})`);
      }
      return found.warning({
        what: `The homeserver was asked to call Emissary and does not say how it went: ${words}`,
        why: "It is overloaded or failing.",
        do: "Ask again later, and look into its log.",
      });
  }
}

async function whyNoConnection(context: Context): Promise<string> {
  const listener = await context.listener();
  if (listener === "silent") {
    return "Nothing listens at appservice.listen on this machine: it was changed since the daemon started.";
  }
  return listener === "ours"
    ? "Emissary listens. The homeserver has loaded a registration with another url, or the way there is blocked: a container, another machine, a firewall."
    : "The homeserver has loaded a registration with another url, or another program has Emissary's port.";
}

async function badStatus(context: Context, found: Found, { body }: Heard, words: string): Promise<Finding> {
  const { config } = context;
  const given = typeof body["status"] === "number" ? body["status"] : null;
  const text = stringAt(body, "body");
  const what = `The homeserver calls Emissary and is turned away: ${words}${text === null ? "" : ` ${quoted(text)}`}`;
  if (given !== 403 && given !== 401) {
    return found.failure({
      what,
      why: "Another program answers at that address, or a proxy that does not pass /_matrix/app on.",
      do: `See to it that ${config.appservice.url} leads to appservice.listen.`,
    });
  }
  const isOther = (await context.listener()) === "other-token";
  return found.failure({
    what,
    why: isOther
      ? "The daemon runs with another hs_token than the registration has now, or it is another Emissary's."
      : "The homeserver has loaded a registration with another hs_token, or its url leads to another appservice.",
    do: isOther ? "Restart the daemon." : loadAnew(config.appservice.registration),
  });
}

/** Pings each tenant with a URL, unless it is paused and so perhaps down. Checks that namespaces are disjoint. */
export const tenants: Check = async (context, found) => {
  const state = await context.daemon();
  if (state.kind !== "running") return found.skipped("only the running daemon can call tenants");
  if (state.status.tenants === 0) return found.ok("there are none");
  const { client } = state;
  const all = (await client.call("tenants")).tenants;
  const unread = all.filter(({ users_fault }) => users_fault !== null);
  if (unread.length > 0) {
    return found.warning({
      what: `Of ${all.length} tenants, ${unread.length} have a namespace that is not read: ${unread.map((tenant) => `${tenant.id}: ${quoted(tenant.users ?? "")} ${tenant.users_fault ?? ""}.`).join(" ")}`,
      why: "It was accepted by an earlier version. Such a tenant has no users but its sender.",
      do: "Remove the tenant and add it anew with an expression that is read (emissary tenant remove, tenant add --users).",
    });
  }
  const called = all.filter(({ url, paused_at }) => url !== null && paused_at === null);
  const faults = (await Promise.all(called.map((tenant) => faultOf(client, tenant.id)))).filter(
    (fault) => fault !== null,
  );
  if (faults.length > 0) {
    return found.warning({
      what: `Of ${called.length} tenants that are called, ${faults.length} do not answer as they should: ${faults.join(" ")}`,
      why: "They do not run, their URL is another now, or they have loaded another registration than their newest.",
      do: "Look into the tenant's own log. Its events are kept until it takes them; remove one that will not come back (emissary tenant remove).",
    });
  }
  const shared = all.flatMap((tenant) =>
    overlapTexts({ overlaps: tenant.overlaps.filter(({ theirs }) => theirs) }).map((text) => `${tenant.id} ${text}.`),
  );
  if (shared.length > 0) {
    return found.warning({
      what: `Of ${all.length} tenants, some have namespaces that overlap, or may: ${shared.join(" ")}`,
      why: "Two tenants were added with --users that match the same user IDs.",
      do: "Nothing is taken from the tenant that was added first. Give the other one a namespace of its own: remove it, and add it anew (emissary tenant remove, emissary tenant add).",
    });
  }
  return found.ok(called.length === 0 ? "none has a URL to be called at" : `called: ${called.length}, and all answer`);
};

/** Returns what is wrong with a tenant, as a sentence with its name; null if it answers. */
async function faultOf(client: AdminClient, id: string): Promise<string | null> {
  const ping = await client.call("tenantPing", { params: { id } });
  // An appservice from before the ping still takes its events.
  if (ping.ok || ping.status === 404 || ping.status === 405) return null;
  return `${id}: ${quoted(ping.sentence)}.`;
}
