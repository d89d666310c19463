import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { Asker } from "../../../src/cli/doctor/asker.ts";
import { PUBLIC } from "../../../src/cli/doctor/examine.ts";
import { type Context, findingsOf, type Level } from "../../../src/cli/doctor/context.ts";
import { publicUrlCheck } from "../../../src/cli/doctor/public.ts";
import { MARK } from "../../../src/http/door/door.ts";
import { systemClock } from "../../../src/platform/clock.ts";
import { pathPattern, proxiedRoutes } from "../../../src/peek/proxied.ts";
import { freePort, listening } from "./terminal.ts";

/** What differs from a proxy that has everything right. */
interface Fault {
  /** Methods and paths that go to the homeserver although they are the gateway's. */
  readonly missing?: RegExp;
  /** Those that go to the gateway although they are the homeserver's. */
  readonly astray?: RegExp;
  /** Answers everything. */
  readonly everything?: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  /** What the proxy answers where it does not reach the gateway. */
  readonly gateway?: number;
  /** Compares and passes on paths decoded. */
  readonly decodes?: true;
  /** The versions are those from before peeking. */
  readonly isCached?: true;
  readonly frontDoor?: true;
  readonly isDown?: true;
  readonly isTls?: true;
  /** homeserver.url is the public address. */
  readonly isCircle?: true;
}

const LINES = proxiedRoutes().map(
  (route) => new RegExp(`^(${[...route.methods, "OPTIONS"].join("|")}) ${pathPattern(route)}(\\?|$)`),
);

/** What the proxy would do with a request, and the servers behind it. */
function proxied({ missing, astray, everything, gateway = 200, decodes, isCached }: Fault) {
  return createServer((request, response) => {
    request.resume();
    const url = request.url ?? "";
    const line = `${request.method ?? ""} ${decodes ? decodeURIComponent(url) : url}`;
    const isOurs = LINES.some((pattern) => pattern.test(line)) && missing?.test(line) !== true;
    if (everything !== undefined) {
      response.writeHead(everything.status, everything.headers).end(everything.body ?? "");
    } else if ((isOurs || astray?.test(line)) && gateway !== 200) {
      response.writeHead(gateway).end("<html>");
    } else {
      if (isOurs || astray?.test(line)) response.setHeader(MARK.name, MARK.value);
      const isVersions = url.endsWith("/versions");
      const features = isOurs && isCached !== true ? { unstable_features: { "org.matrix.msc2753": true } } : {};
      const body = isVersions ? { versions: ["v1.12"], ...features } : {};
      response.writeHead(isVersions ? 200 : 401).end(JSON.stringify(body));
    }
  });
}

async function diagnose(fault: Fault) {
  const port = fault.isDown ? await freePort() : await listening(proxied(fault));
  const homeserver = createServer((_request, response) => response.end("{}"));
  const address = `http://127.0.0.1:${port}`;
  const direct = fault.isCircle ? address : `http://127.0.0.1:${await listening(homeserver)}`;
  const config = {
    homeserver: { url: direct, serverName: "example.org" },
    gateway: { frontDoor: fault.frontDoor ?? false },
  };
  const url = fault.isTls ? `https://127.0.0.1:${port}` : address;
  const asker = new Asker(systemClock);
  onTestFinished(() => asker.close());
  return publicUrlCheck(url)({ config, asker } as Context, findingsOf(PUBLIC));
}

test.each<[what: string, fault: Fault, level: Level, words: RegExp]>([
  ["nothing", {}, "ok", /sends the gateway all that it needs *$/],
  ["no proxy", { isDown: true }, "failure", /no answer at http.*nothing listens there/],
  ["plain HTTP behind https", { isTls: true }, "failure", /no answer at https.*certificate.*TLS and plain HTTP/],
  [
    "a redirect",
    { everything: { status: 301, headers: { location: "https://matrix.example.org/" } } },
    "failure",
    /redirect to “https:\/\/matrix\.example\.org\/”/,
  ],
  ["a web site", { everything: { status: 200, body: "<html>Welcome" } }, "failure", /no homeserver.*well-known/],
  ["a homeserver that is down", { everything: { status: 502 } }, "failure", /no homeserver that works: status 502/],
  ["no line for the gateway", { missing: /./ }, "failure", /sends nothing to the gateway.*reverse-proxy\.md/],
  ["a gateway that is not reached", { gateway: 502, missing: /versions/ }, "failure", /answers 502.*gateway\.listen/],
  [
    "one line that is missing",
    { missing: /initialSync/ },
    "failure",
    /does not send the gateway:\n {2}GET \/_matrix\/client\/v3\/rooms\/…\/initialSync\n {2}GET \/_matrix\/client\/r0/,
  ],
  ["lines without the older paths", { missing: /\/r0\// }, "failure", /client\/r0\/rooms\/…\/messages/],
  ["versions that do not tell of peeking", { missing: /versions/ }, "failure", /GET \/_matrix\/client\/versions/],
  ["versions that the proxy has kept", { isCached: true }, "failure", /client\/versions .*keeps answers/],
  [
    "all that is optional left out",
    { missing: /(?:\/sync|peek|summary|hierarchy|publicRooms)/ },
    "ok",
    /left with the homeserver:.*\/v3\/sync/,
  ],
  [
    "/sync left out, and /peek not",
    { missing: /\/sync$/ },
    "warning",
    /\/v3\/sync.*without \/sync, clients peek and see nothing/s,
  ],
  ["/unpeek left out alone", { missing: /unpeek/ }, "warning", /msc2753\/rooms\/…\/unpeek/],
  [
    "paths without methods",
    { astray: /^PUT .*\/state\// },
    "failure",
    /is refused there:\n {2}PUT \S+state.*methods matter/s,
  ],
  [
    "everything for the gateway",
    { astray: /./ },
    "failure",
    /GET \/_matrix\/client\/v3\/account\/whoami.*front_door: true/s,
  ],
  ["everything for the gateway, which passes it on", { astray: /./, frontDoor: true }, "ok", /all that it needs/],
  ["paths that are decoded", { decodes: true }, "warning", /encoded slash.*%23emissary%2Fdoctor/],
  [
    "a homeserver's address that is the proxy's",
    { isCircle: true },
    "failure",
    /leads to the gateway itself.*direct address/,
  ],
])("%s", async (_what, fault, level, words) => {
  const finding = await diagnose(fault);
  expect(`${finding.what} ${finding.why ?? ""} ${finding.do ?? ""}`).toMatch(words);
  expect([finding.check, finding.level]).toEqual(["public-url", level]);
  expect(finding.do === null).toBe(level === "ok");
});
