import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { ServerName, TenantId, UserId } from "../../src/model/ids.ts";
import {
  claimsAll,
  claimsUser,
  freshTokens,
  makeRegistration,
  makeTenantRegistration,
  registrationSchema,
  renderRegistration,
} from "../../src/platform/registration.ts";
import { systemRandom } from "../../src/platform/clock.ts";

const TOKENS = { asToken: "as", hsToken: "hs" };
const SERVER = "example.org" as ServerName;
const own = (serverName: string, localpart = "") =>
  makeRegistration({ url: "http://127.0.0.1:9009", serverName: serverName as ServerName, localpart, tokens: TOKENS });

describe("Emissary's own registration", () => {
  test("claims the pseudouser, tenants' senders and nobody else, by an ordinary sender, and is told of all aliases", () => {
    expect(own("example.org")).toEqual({
      id: "emissary",
      url: "http://127.0.0.1:9009",
      as_token: "as",
      hs_token: "hs",
      sender_localpart: "_emissary",
      rate_limited: false,
      receive_ephemeral: true,
      namespaces: {
        users: [
          { exclusive: true, regex: "^@:example\\.org$" },
          { exclusive: true, regex: "^@_emissary_.*:example\\.org$" },
        ],
        aliases: [{ exclusive: false, regex: "^#.*:example\\.org$" }],
        rooms: [],
      },
    });
  });

  test.each([
    [{}, true, false],
    [{ aliases: false }, false, false],
    [{ watchInvites: true }, true, true],
    [{ reserved: ["@_irc_.*:example\\.org", "#irc_.*:example\\.org"], aliases: false }, false, false],
  ])("of %j: told of all aliases %j, of all users %j", (options, aliases, users) => {
    const { namespaces } = makeRegistration({
      url: "http://127.0.0.1:9009",
      serverName: SERVER,
      localpart: "",
      tokens: TOKENS,
      ...options,
    });
    expect(claimsAll(namespaces, "#", SERVER)).toBe(aliases);
    expect(claimsAll(namespaces, "@", SERVER)).toBe(users);
    expect(claimsAll(namespaces, "#", "example.net" as ServerName)).toBe(false);
  });

  test.each([
    ["example.org", "", "^@:example\\.org$", "@:example.org", "@:exampleXorg"],
    ["example.org", "_pseudo", "^@_pseudo:example\\.org$", "@_pseudo:example.org", "@:example.org"],
    ["example.org", "a.b+c", "^@a\\.b\\+c:example\\.org$", "@a.b+c:example.org", "@aXb+c:example.org"],
    ["localhost:8448", "", "^@:localhost:8448$", "@:localhost:8448", "@:localhost:84480"],
    ["[::1]:8448", "", "^@:\\[::1\\]:8448$", "@:[::1]:8448", "@::"],
  ])("of %s with the localpart %j", (server, localpart, regex, inside, outside) => {
    const registration = own(server, localpart);
    expect(registration.namespaces.users[0]?.regex).toBe(regex);
    expect(claimsUser(registration, inside as UserId, server as ServerName)).toBe(true);
    expect(claimsUser(registration, outside as UserId, server as ServerName)).toBe(false);
  });

  test("gets tokens that nobody can guess, each of its own", () => {
    const { asToken, hsToken } = freshTokens(systemRandom);
    expect(asToken).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(hsToken).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(asToken).not.toBe(hsToken);
  });
});

describe("a tenant's registration", () => {
  const tenant = {
    id: "telegram" as TenantId,
    url: "http://127.0.0.1:29317",
    sender: "@_emissary_telegram:example.org" as UserId,
    users: "^@_telegram_.*:example\\.org$",
    ephemeral: false,
  };

  test("has the namespace that the operator gave it", () => {
    expect(makeTenantRegistration(tenant, TOKENS)).toEqual({
      id: "telegram",
      url: "http://127.0.0.1:29317",
      as_token: "as",
      hs_token: "hs",
      sender_localpart: "_emissary_telegram",
      rate_limited: false,
      namespaces: { users: [{ exclusive: true, regex: "^@_telegram_.*:example\\.org$" }], aliases: [], rooms: [] },
    });
  });

  test("says so where typing and receipts are wanted", () => {
    expect(makeTenantRegistration({ ...tenant, ephemeral: true }, TOKENS)["receive_ephemeral"]).toBe(true);
  });

  test("has its sender alone where there are no personas, and a null url where it listens nowhere", () => {
    const registration = makeTenantRegistration({ ...tenant, url: null, users: null }, TOKENS);
    expect(registration.url).toBeNull();
    expect(registration.namespaces.users).toEqual([{ exclusive: true, regex: "^@_emissary_telegram:example\\.org$" }]);
  });
});

describe("a registration file", () => {
  test("reads back as what was written, whatever stands in it", () => {
    const odd = { ...own("example.org"), as_token: "#no: comment", hs_token: "12345", url: null };
    expect(parse(renderRegistration(odd, "One line.\n\nAnother."))).toEqual(odd);
  });

  test("begins with the heading and explains its keys", () => {
    const text = renderRegistration(own("example.org"), "One line.\n\nAnother.");
    expect(text).toMatch(/^# One line\.\n#\n# Another\.\n\nid: emissary\n# .*\nurl: /);
  });

  test("may hold keys of which we know nothing, and lack the namespaces that it does not need", () => {
    const { namespaces, ...rest } = own("example.org");
    const file = { ...rest, "org.example.key": 1, namespaces: { users: namespaces.users } };
    expect(registrationSchema.parse(file)).toMatchObject({ "org.example.key": 1, namespaces: { aliases: [] } });
  });

  test.each(["id", "url", "as_token", "hs_token", "sender_localpart", "namespaces"])("must have its %s", (key) => {
    const file = Object.fromEntries(Object.entries(own("example.org")).filter(([name]) => name !== key));
    expect(registrationSchema.safeParse(file).success).toBe(false);
  });
});

test("the sender counts as claimed, as the specification has it", () => {
  expect(claimsUser(own("example.org"), "@_emissary:example.org" as UserId, SERVER)).toBe(true);
});

test("an expression need not reach to the end of the ID, as homeservers match it", () => {
  const registration = own("example.org");
  const open = {
    ...registration,
    namespaces: { ...registration.namespaces, users: [{ exclusive: false, regex: "@" }] },
  };
  expect(claimsUser(open, "@:example.org" as UserId, SERVER)).toBe(true);
});
