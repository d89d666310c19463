import { describe, expect, test } from "vitest";
import type { ServerName } from "../../../src/model/ids.ts";
import { sampleConfig, sampleRegistration } from "../../../scripts/config-sample.ts";
import { makeRegistration, renderRegistration } from "../../../src/platform/registration.ts";
import { ADMIN_TOKEN, loadFiles, mistakesIn, REGISTRATION, REQUIRED } from "./folder.ts";

describe("values that are well formed and cannot hold together", () => {
  test.each([
    [
      "the same port twice",
      "127.0.0.1:9009",
      /^appservice\.listen and gateway\.listen cannot both listen on 127\.0\.0\.1:9009/,
    ],
    ["a port of one address within every address", "0.0.0.0:9011", /^gateway\.listen and admin\.listen cannot both/],
    [
      "the same for IPv6",
      "'[::]:9011'",
      /^gateway\.listen and admin\.listen cannot both listen on \[::\]:9011 and 127/,
    ],
  ])("two listeners: %s", (_, listen, mistake) => {
    expect(mistakesIn({ config: `${REQUIRED}gateway: { listen: ${listen} }\n` })).toEqual([
      expect.stringMatching(mistake),
    ]);
  });

  test("port 0 is any free one, so it may stand everywhere", () => {
    const config = REQUIRED.replace("admin:", "  listen: 127.0.0.1:0\nadmin:\n  listen: 127.0.0.1:0");
    expect(loadFiles({ config }).config.admin.listen.port).toBe(0);
  });

  test("one secret for two purposes", () => {
    expect(mistakesIn({ registration: REGISTRATION.replace("the-hs-token", "the-as-token") })).toEqual([
      "the registration's as_token and the registration's hs_token are the same: whoever holds one must not hold the other",
    ]);
    expect(mistakesIn({ registration: REGISTRATION.replace("the-hs-token", ADMIN_TOKEN) })).toEqual([
      expect.stringMatching(/^admin\.token and the registration's hs_token are the same/),
    ]);
  });

  test.each([
    ["http://127.0.0.1:9008", '"http://127.0.0.1:9008"'],
    ["null", "null"],
  ])("a registration that sends events elsewhere: %s", (url, shown) => {
    const registration = REGISTRATION.replace("url: http://127.0.0.1:9009", `url: ${url}`);
    expect(mistakesIn({ registration })).toEqual([
      `appservice.url: "http://127.0.0.1:9009", but the registration's url is ${shown}: the homeserver would send events elsewhere`,
    ]);
  });

  test("a registration that does not let us act as the pseudouser", () => {
    const config = `${REQUIRED}pseudouser: { localpart: _pseudo }\n`;
    expect(mistakesIn({ config })).toEqual([
      expect.stringMatching(/do not match the pseudouser @_pseudo:example\.org: .*`emissary register --force`/),
    ]);
    const registration = renderRegistration(
      makeRegistration({
        url: "http://127.0.0.1:9009",
        serverName: "example.org" as ServerName,
        localpart: "_pseudo",
        tokens: { asToken: "the-as-token", hsToken: "the-hs-token" },
      }),
      "Of a test.",
    );
    expect(loadFiles({ config, registration }).config.pseudouser.localpart).toBe("_pseudo");
  });

  test("a registration whose namespace is no regular expression", () => {
    const registration = REGISTRATION.replace(/regex: .*/, "regex: '@(:example'");
    expect(mistakesIn({ registration })).toEqual([expect.stringMatching(/namespaces\.users: .*[Rr]egular expression/)]);
  });
});

test("the samples are refused for their tokens, which everybody knows, and for nothing else", () => {
  const mistakes = mistakesIn({ config: sampleConfig(), registration: sampleRegistration() });
  expect(mistakes.map((mistake) => mistake.split(" is the sample's")[0])).toEqual([
    "admin.token",
    "the registration's as_token",
    "the registration's hs_token",
  ]);
  const env = { EMISSARY_ADMIN_TOKEN: ADMIN_TOKEN, EMISSARY_AS_TOKEN: "as", EMISSARY_HS_TOKEN: "hs" };
  expect(loadFiles({ config: sampleConfig(), registration: sampleRegistration(), env }).warnings).toEqual([]);
});
