/**
 * What real reverse proxies make of the files in packaging/proxy: before two servers that only note what comes to them, so that a
 * path's every byte can be compared.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pathPattern, proxiedRoutes } from "../../src/peek/proxied.ts";
import { ask } from "../support/service-app.ts";
import { findProxies, packaged, Proxy, type Before } from "../support/proxy.ts";

const { here, missing } = await findProxies();

/** What stands for a parameter: as clients write it, and with everything that a proxy could take for something else. */
const NAMES = [
  "!plain:example.org",
  "%21encoded%3Aexample.org",
  "%23a%2Fb%3Fc%25d%23e%3Aexample.org",
  "%23%2F..%2F..%2F%3Aexample.org",
  "%23a%252Fb%2B+%20%22%7C%3A%5B%3A%3A1%5D",
  "%23a%2f%2fb%3Bc%3Dd%26e%5C%3Aexample.org",
  "%23%C3%A4%E2%82%AC%F0%9F%90%98%3Aexample.org",
];

/** The homeserver's own, some of them next to ours. */
const OTHERS: readonly [method: string, path: string][] = [
  ["PUT", "/_matrix/client/v3/rooms/!a/state/m.room.name/"],
  ["PUT", "/_matrix/client/v3/rooms/%23a%2Fb/state/m.room.name"],
  ["PUT", "/_matrix/client/v3/rooms/!a/send/m.room.message/1"],
  ["POST", "/_matrix/client/v3/rooms/!a/leave"],
  ["PUT", "/_matrix/client/v3/directory/room/%23a%3Ab"],
  ["GET", "/_matrix/client/v3/directory/list/room/!a"],
  ["GET", "/_matrix/client/v3/account/whoami"],
  ["GET", "/_matrix/client/v3/account/whoami?next=/_matrix/client/v3/events"],
  ["OPTIONS", "/_matrix/client/v3/account/whoami"],
  ["POST", "/_matrix/client/v3/login"],
  ["POST", "/_matrix/media/v3/upload"],
  ["GET", "/_matrix/federation/v1/version"],
  ["GET", "/_matrix/client/v3/rooms/!a/initialSync/more"],
  ["GET", "/_matrix/client/v3/rooms/!a/b/initialSync"],
];

interface Noting {
  readonly address: string;
  /** As they stood in the request line. */
  readonly noted: string[];
  readonly close: () => void;
}

/** Notes and answers 200; where the query says `wait`, later. */
async function noting(): Promise<Noting> {
  const noted: string[] = [];
  const server = createServer((request, response) => {
    noted.push(`${request.method ?? ""} ${request.url ?? ""}`);
    const wait = Number(new URL(request.url ?? "", "http://here").searchParams.get("wait") ?? 0);
    request.resume().once("end", () => setTimeout(() => response.end("{}"), wait));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, noted, close };
}

describe.each(here)("$name", (kind) => {
  let gateway: Noting;
  let homeserver: Noting;
  let proxy: Proxy;

  const startProxy = (edit?: Before["edit"]): Promise<Proxy> =>
    Proxy.start(kind, {
      gateway: gateway.address,
      homeserver: homeserver.address,
      ...(edit === undefined ? {} : { edit }),
    });

  beforeAll(async () => {
    gateway = await noting();
    homeserver = await noting();
    proxy = await startProxy();
  });
  afterAll(async () => {
    await proxy.end();
    gateway.close();
    homeserver.close();
  });

  /** Where a request came to, and as what. */
  async function arrival(method: string, path: string, at = proxy): Promise<[string, string | undefined]> {
    gateway.noted.length = 0;
    homeserver.noted.length = 0;
    await ask(at.port, method, path);
    const [atGateway] = gateway.noted;
    return atGateway === undefined ? ["homeserver", homeserver.noted[0]] : ["gateway", atGateway];
  }

  describe.each(proxiedRoutes())("$path", ({ methods, path, under }) => {
    it("goes to the gateway as it was written, whatever the names in it", async () => {
      const names = path.includes(":") ? NAMES : [""];
      for (const prefix of under) {
        for (const name of names) {
          const raw = `${prefix}${path.replace(/:\w+/g, name)}`;
          for (const method of methods) {
            for (const query of ["", "?limit=10&from=a%2Fb%23&via=x:1"]) {
              expect(await arrival(method, raw + query)).toEqual(["gateway", `${method} ${raw}${query}`]);
            }
          }
        }
      }
    });

    it("takes a browser's question before it along, and no other method", async () => {
      const raw = `${under[0] ?? ""}${path.replace(/:\w+/g, "!a")}`;
      expect(await arrival("OPTIONS", raw)).toEqual(["gateway", `OPTIONS ${raw}`]);
      const others = ["GET", "PUT", "POST", "DELETE"].filter((method) => !methods.includes(method));
      for (const method of others) expect(await arrival(method, raw)).toEqual(["homeserver", `${method} ${raw}`]);
    });
  });

  it("sends an empty state key along", async () => {
    const path = "/_matrix/client/v3/rooms/!a/state/m.room.name/";
    expect(await arrival("GET", path)).toEqual(["gateway", `GET ${path}`]);
  });

  it.each(OTHERS)("leaves %s %s with the homeserver", async (method, path) => {
    expect(await arrival(method, path)).toEqual(["homeserver", `${method} ${path}`]);
  });

  it("leaves a path with the homeserver whose line the operator has taken out", async () => {
    const route = proxiedRoutes().find(({ isOptional }) => isOptional);
    if (route === undefined) throw new Error("there is no optional route");
    const without = await startProxy((text) =>
      text
        .split("\n")
        .filter((line) => !line.includes(`${pathPattern(route)}(\\?|$)`))
        .join("\n"),
    );
    const [method = "GET"] = route.methods;
    const path = `${route.under[0] ?? ""}${route.path.replace(/:\w+/g, "!a")}`;
    const arrived = await arrival(method, path, without);
    await without.end();
    expect(arrived).toEqual(["homeserver", `${method} ${path}`]);
  });

  it("waits for an answer that takes long, and passes a large upload to the homeserver", async () => {
    const slow = await ask(proxy.port, "GET", "/_matrix/client/v3/events?wait=1500");
    expect(slow.status).toBe(200);
    const body = Buffer.alloc(20 * 1024 * 1024);
    const uploaded = await ask(proxy.port, "POST", "/_matrix/media/v3/upload", { body });
    expect(uploaded.status).toBe(200);
    expect(homeserver.noted.at(-1)).toBe("POST /_matrix/media/v3/upload");
  });

  // Caddy has no such limit. A test cannot wait for minutes: the one line that decides is made short, and so shown to decide.
  if (kind.name === "nginx") {
    it("waits as long as its file says, which is longer than any long poll", async () => {
      const [line = "", minutes] = /proxy_read_timeout (\d+)m;/.exec(packaged("nginx-location.conf")) ?? [];
      expect(Number(minutes)).toBeGreaterThanOrEqual(2);
      const hasty = await startProxy((text) => text.replace(line, "proxy_read_timeout 500ms;"));
      const cut = await ask(hasty.port, "GET", "/_matrix/client/v3/events?wait=1500");
      await hasty.end();
      expect(cut.status).toBe(504);
    });
  }
});

describe.each(missing)("$name, which is not here: $why", ({ why }) => {
  it.skipIf(process.env["CI"] !== "true")("is left out", () => expect.fail(why));
});
