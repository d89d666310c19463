import { describe, expect, test } from "vitest";
import { requireOwnHost } from "../../../src/admin/routes.ts";

const OWN = ["0.0.0.0", "Monitor.example.org"];
const ask = (host: string | undefined) => () => requireOwnHost({ headers: host === undefined ? {} : { host } }, OWN);

describe("the admin listener, asked without its token", () => {
  test.each([
    undefined,
    "127.0.0.1:9011",
    "127.0.0.1",
    "[::1]:9011",
    "192.0.2.7:9011",
    "localhost:9011",
    "LOCALHOST.",
    "emissary:9011",
    "emissary.monitoring.svc.cluster.local:9011",
    "host.docker.internal:9011",
    "monitor.example.org:9011",
  ])("answers where it is named %s", (host) => expect(ask(host)).not.toThrow());

  test.each([
    "evil.example:9011",
    "127.0.0.1.evil.example",
    "localhost.evil.example:9011",
    "local.evil.example",
    "a.b",
  ])("refuses %s, which a web page may have", (host) => expect(ask(host)).toThrow(/is not a name of this listener/));
});
