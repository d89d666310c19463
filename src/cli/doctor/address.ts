import { stringAt } from "../../model/json.ts";
import { wordsOf } from "./account.ts";
import { whyNotAsked, type Check, type Context } from "./context.ts";
import { quoted, type Finding, type Found } from "./finding.ts";
import type { Heard } from "./asker.ts";
import { loadAnew } from "./registration.ts";

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
  switch (await context.listener()) {
    case "silent":
      return "Nothing listens at appservice.listen on this machine: it was changed since the daemon started.";
    case "ours":
      return "Emissary listens. The homeserver has loaded a registration with another url, or the way there is blocked: a container, another machine, a firewall.";
    default:
      return "The homeserver has loaded a registration with another url, or another program has Emissary's port.";
  }
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
  if ((await context.listener()) === "other-token") {
    return found.failure({
      what,
      why: "The daemon runs with another hs_token than the registration has now, or it is another Emissary's.",
      do: "Restart the daemon.",
    });
  }
  return found.failure({
    what,
    why: "The homeserver has loaded a registration with another hs_token, or its url leads to another appservice.",
    do: loadAnew(config.appservice.registration),
  });
}
