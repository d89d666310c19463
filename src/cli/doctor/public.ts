import { MARK } from "../../http/door/door.ts";
import { proxiedRoutes, type ProxiedRoute } from "../../peek/proxied.ts";
import { AT_ONCE, type Asker, type Reply } from "./asker.ts";
import { isJsonObject } from "../../model/json.ts";
import { type Check, type Context, quoted, type Finding, type Found } from "./context.ts";

/** A client's request for one route, without a token: it has no effect. */
interface Trial {
  readonly method: string;
  readonly path: string;
  readonly isOptional: boolean;
}

/** Returns a request for every route under each of its versions. */
function trialsOf(server: string, routes: readonly ProxiedRoute[] = proxiedRoutes()): readonly Trial[] {
  return routes.flatMap(({ methods, path, under, isOptional }) =>
    methods.flatMap((method) =>
      under.map((prefix) => ({ method, path: `${prefix}${filled(path, server)}`, isOptional })),
    ),
  );
}

/** Fills a path's parameters with values that exist nowhere. */
export function filled(path: string, server: string): string {
  return path
    .replace(/:alias/g, encodeURIComponent(`#emissary-doctor:${server}`))
    .replace(/:room\w+/g, encodeURIComponent(`!emissary-doctor:${server}`))
    .replace(/:\w+/g, "emissary-doctor");
}

function isOfGateway(reply: Reply): boolean {
  return reply.heard && reply.headers[MARK.name] === MARK.value;
}

/** Makes requests at the address that clients use, as clients do. */
class PublicProbe {
  readonly #base: string;
  readonly #asker: Asker;

  constructor(base: string, asker: Asker) {
    this.#base = base;
    this.#asker = asker;
  }

  ask(method: string, path: string): Promise<Reply> {
    const body = method === "GET" ? {} : { body: {} };
    return this.#asker.ask(method, `${this.#base}${path}`, body);
  }

  /** Makes all requests, a few at once. Returns the answers in the same order. */
  async askAll<T extends Line>(trials: readonly T[]): Promise<readonly (readonly [T, Reply])[]> {
    const answers: (readonly [T, Reply])[] = [];
    for (let at = 0; at < trials.length; at += AT_ONCE) {
      const part = trials.slice(at, at + AT_ONCE).map(async (trial) => {
        return [trial, await this.ask(trial.method, trial.path)] as const;
      });
      answers.push(...(await Promise.all(part)));
    }
    return answers;
  }
}

const VERSIONS = "/_matrix/client/versions";
const MANUAL = "docs/set-up/reverse-proxy.md";

/** Paths of the homeserver next to ours. Users' requests for them would be refused by the gateway. */
const NOT_OURS = [
  { method: "GET", path: "/_matrix/client/v3/account/whoami" },
  { method: "PUT", path: "/_matrix/client/v3/rooms/emissary-doctor/state/m.room.name/" },
] as const;

/** Returns a check that the reverse proxy sends the gateway all of its paths, and only them. */
export function publicUrlCheck(url: string): Check {
  return (context, found) => examined(url, new PublicProbe(url, context.asker), context, found);
}

async function examined(url: string, probe: PublicProbe, context: Context, found: Found): Promise<Finding> {
  const server = context.config.homeserver.serverName;
  const loop = await circle(found, context);
  if (loop !== null) return loop;
  const nobody = noHomeserver(found, url, await probe.ask("GET", VERSIONS));
  if (nobody !== null) return nobody;
  const answers = await probe.askAll(trialsOf(server));
  const down = answers.find(([, heard]) => heard.heard && heard.status >= 502 && heard.status <= 504);
  if (down !== undefined) {
    const [trial, heard] = down;
    return found.failure({
      what: `For ${lineOf(trial)} the proxy at ${url} answers ${heard.heard ? heard.status : "nothing"}: it does not reach the gateway, or the gateway not the homeserver.`,
      why: "Emissary does not run, is not ready, or gateway.listen is not the address that the proxy has for it.",
      do: "Compare gateway.listen with the address in the proxy's configuration (upstream emissary_gateway). In a container it has to listen on more than 127.0.0.1.",
    });
  }
  const missing = answers.filter(([trial, heard]) => !isArrived(trial, heard)).map(([trial]) => trial);
  if (missing.length === answers.length) {
    return found.failure({
      what: `The proxy at ${url} sends nothing to the gateway: the homeserver answers everything.`,
      why: "The files of packaging/proxy are not in use, or the proxy was not told to read them.",
      do: `Follow ${MANUAL}, have the proxy read its configuration again, and ask once more.`,
    });
  }
  const frontDoor = context.config.gateway.frontDoor;
  const astray = frontDoor ? [] : (await probe.askAll(NOT_OURS)).filter(([, heard]) => isOfGateway(heard));
  if (astray.length > 0) {
    return found.failure({
      what: `The proxy at ${url} sends the gateway what is the homeserver's, and is refused there:${listOf(astray.map(([one]) => one))}`,
      why: "It goes by the path alone, and methods matter; or everything is sent to the gateway.",
      do: `Take the lines of packaging/proxy as they are (${MANUAL}). To have everything pass the gateway, for a trial: gateway.front_door: true.`,
    });
  }
  const needed = missing.filter(({ isOptional }) => !isOptional);
  if (needed.length > 0) return notSent(found, url, needed, "failure");
  const half = halfOfMsc2753(missing);
  if (half.length > 0) return notSent(found, url, half, "warning");
  const decoding = await decodes(found, url, probe, server);
  if (decoding !== null) return decoding;
  const left = missing.map(lineOf);
  return found.ok(
    `${url} sends the gateway all that it needs${left.length === 0 ? "" : `; left with the homeserver: ${left.join(", ")}`}`,
  );
}

/** If homeserver.url leads to the gateway, it would call itself for ever. */
async function circle(found: Found, { config, asker }: Context): Promise<Finding | null> {
  if (!isOfGateway(await new PublicProbe(config.homeserver.url, asker).ask("GET", VERSIONS))) return null;
  return found.failure({
    what: `homeserver.url (${config.homeserver.url}) leads to the gateway itself, which would ask itself for ever.`,
    why: "It is the public address, where the reverse proxy stands.",
    do: "Put the homeserver's direct address into homeserver.url and restart Emissary.",
  });
}

function noHomeserver(found: Found, url: string, heard: Reply): Finding | null {
  if (!heard.heard) {
    return found.failure({
      what: `There is no answer at ${url}: ${heard.why}.`,
      why: heard.isTls
        ? "The certificate is for another name, has run out, or was signed by somebody whom this machine does not know; or TLS and plain HTTP are mixed up."
        : "The reverse proxy does not run, listens elsewhere, or this machine has no way to it: some networks do not lead back to their own public address.",
      do: heard.isTls
        ? `Try by hand: curl -v ${url}${VERSIONS}. For a certificate authority of your own: NODE_EXTRA_CA_CERTS=FILE emissary doctor …`
        : `Try by hand, and from elsewhere: curl ${url}${VERSIONS}`,
    });
  }
  if (heard.status >= 300 && heard.status < 400) {
    return found.failure({
      what: `${url} answers with a redirect to ${quoted(heard.headers.location ?? "nowhere")}.`,
      why: "Clients do not follow it with their tokens, and the paths for the gateway are not reached that way.",
      do: "Give the address that it leads to, and see to it that clients are told that one (/.well-known/matrix/client).",
    });
  }
  if (heard.status !== 200 || !Array.isArray(heard.body["versions"])) {
    return found.failure({
      what: `What answers at ${url} is no homeserver that works: status ${heard.status}.`,
      why: "It is not the address that clients use (which /.well-known/matrix/client names), or the proxy does not reach the homeserver.",
      do: `Give the address under which this works: curl ADDRESS${VERSIONS}`,
    });
  }
  return null;
}

function notSent(found: Found, url: string, missing: readonly Trial[], level: "failure" | "warning"): Finding {
  return found[level]({
    what: `The proxy at ${url} does not send the gateway:${listOf(missing)}`,
    why:
      level === "failure"
        ? "The proxy has the files of an older version, was changed by hand, or another of its rules comes first; or it keeps answers (/versions) from before."
        : "Peeking in the manner of MSC2753 needs them all: without /sync, clients peek and see nothing.",
    do: `Put the lines for them from packaging/proxy into the proxy's configuration (${MANUAL}), and have it read that again.`,
  });
}

/** Returns the missing part of MSC2753 if some of it is there: one part without the others is useless. */
function halfOfMsc2753(missing: readonly Trial[]): readonly Trial[] {
  const peeking = missing.filter(({ path }) => path.includes("msc2753"));
  const sync = missing.filter(({ path }) => /^\/_matrix\/client\/\w+\/sync$/.test(path));
  const isLeftOut = sync.length > 0 && peeking.some(({ path }) => path.includes("/peek/"));
  return isLeftOut ? [] : [...peeking, ...sync];
}

/** Returns whether the gateway answered. The versions must be a fresh answer: some proxies cache them. */
function isArrived({ path }: Trial, heard: Reply): boolean {
  if (!heard.heard || !isOfGateway(heard)) return false;
  const features = heard.body["unstable_features"];
  return path !== VERSIONS || (isJsonObject(features) && features["org.matrix.msc2753"] === true);
}

/** Checks for decoded slashes. An alias may contain a slash; a proxy that decodes it makes another path. */
async function decodes(found: Found, url: string, probe: PublicProbe, server: string): Promise<Finding | null> {
  const path = `/_matrix/client/v3/directory/room/${encodeURIComponent(`#emissary/doctor:${server}`)}`;
  const heard = await probe.ask("GET", path);
  if (heard.heard && isOfGateway(heard) && heard.errcode !== "M_UNRECOGNIZED") return null;
  return found.warning({
    what: `Names with an encoded slash do not come through ${url} as they are: GET ${path}`,
    why: "The proxy decodes paths before it compares them or passes them on; with nginx, proxy_pass has something after the address.",
    do: `Compare with packaging/proxy, and see ${MANUAL}#by-hand.`,
  });
}

interface Line {
  readonly method: string;
  readonly path: string;
}

function listOf(lines: readonly Line[]): string {
  return lines.map((line) => `\n  ${lineOf(line)}`).join("");
}

function lineOf({ method, path }: Line): string {
  return `${method} ${path.replace(/(?:!|%23)?emissary-doctor[^/]*/g, "…")}`;
}
