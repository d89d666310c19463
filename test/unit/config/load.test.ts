import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Environment } from "../../../src/platform/config/files.ts";
import { loadAdminAccess, load } from "../../../src/platform/config/load.ts";
import {
  ADMIN_TOKEN,
  complaintAbout,
  folderWith,
  loadFiles,
  mistakesIn,
  REGISTRATION,
  REQUIRED,
  temporaryFolder,
} from "./folder.ts";

/** The required keys, with other text in place of one of them or added at the end. */
const withLine = (from: string, to: string) => REQUIRED.replace(from, to);

describe("what rooms are shown of the pseudouser", () => {
  test.each([
    ['"{server}: {server}"', "example.org: example.org"],
    ['"Our emissary"', "Our emissary"],
    ["null", null],
  ])("%s is %j", (text, expected) => {
    const path = join(
      folderWith({
        config: `${REQUIRED}pseudouser: { displayname: ${text} }\nattendance: { join_reason: ${text} }\n`,
      }),
      "emissary.yaml",
    );
    const { config } = load({ path, env: {} });
    expect([config.pseudouser.displayname, config.attendance.joinReason]).toEqual([expected, expected]);
  });
});

describe("an operator who gives the required keys only", () => {
  test("gets every default, durations in milliseconds and paths beside the configuration", () => {
    const folder = folderWith();
    const { config, warnings } = load({ path: join(folder, "emissary.yaml"), env: {} });
    expect(config).toEqual({
      homeserver: { url: "http://127.0.0.1:8008", serverName: "example.org" },
      pseudouser: { localpart: "", displayname: "example.org (preview)" },
      appservice: {
        listen: { host: "127.0.0.1", port: 9009 },
        url: "http://127.0.0.1:9009",
        registration: join(folder, "registration.yaml"),
      },
      gateway: {
        listen: { host: "127.0.0.1", port: 9010 },
        frontDoor: false,
        personaFallback: true,
        tenantRate: 100,
        tenantBurst: 5_000,
      },
      peek: { idle: 600_000, wait: 30_000, roomsPerUser: 20, servers: [], rooms: [] },
      admin: { listen: { host: "127.0.0.1", port: 9011 }, token: ADMIN_TOKEN },
      storage: {
        sqlite: join(folder, "emissary.db"),
        durability: "full",
        journalKeep: 604_800_000,
        journalMaxSize: 1_073_741_824,
        auditKeep: 7_776_000_000,
        auditMaxSize: 2 ** 30,
      },
      attendance: {
        linger: 600_000,
        concurrency: 4,
        joinsPerSecond: 5,
        joinTimeout: 600_000,
        joinReason: "Somebody at example.org looks into this room, or has a bot here.",
        functionalMember: true,
      },
      policy: {
        maxRooms: 1000,
        maxMembers: 20_000,
        maxJoinsUnderWay: 500,
        maxEventRate: 100,
        refuseVersions: ["1"],
        joinsPerUser: { joins: 30, per: 3_600_000 },
        joinsPerTenant: { joins: 1000, per: 3_600_000 },
        joinsPerServer: { joins: 200, per: 3_600_000 },
        joinsInAll: { joins: 2000, per: 3_600_000 },
        denyRooms: [],
        allowRooms: [],
        denyServers: [],
        allowServers: [],
        denyUsers: [],
        allowUsers: [],
        denyTenants: [],
        allowTenants: [],
        lists: [],
        ownInvites: "decline",
      },
      aliases: { keep: true, sweep: 86_400_000, emptyRooms: "keep", emptyAfter: 2_592_000_000 },
      invites: {
        takePart: false,
        wait: 86_400_000,
        joinsPerServer: { joins: 10, per: 3_600_000 },
        joinsPerInviter: { joins: 3, per: 3_600_000 },
      },
      log: { level: "info", format: "text" },
      registration: {
        id: "emissary",
        asToken: "the-as-token",
        hsToken: "the-hs-token",
        senderLocalpart: "_emissary",
        claimsReader: true,
        url: "http://127.0.0.1:9009",
        reservedAliases: [],
      },
    });
    expect(warnings).toEqual([]);
  });

  test("gets a configuration that nobody can change later", () => {
    const { config } = loadFiles();
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.admin.listen)).toBe(true);
    expect(Object.isFrozen(config.registration)).toBe(true);
  });

  test("may leave a section's name standing with all its keys commented out", () => {
    expect(loadFiles({ config: `${REQUIRED}log:\n  # level: debug\n` }).config.log.level).toBe("info");
  });

  test("may write addresses with a slash at the end", () => {
    const config = REQUIRED.replace("8008", "8008/").replace("9009", "9009/");
    expect(loadFiles({ config }).config.homeserver.url).toBe("http://127.0.0.1:8008");
  });
});

describe("every mistake is told by its key, with what was expected", () => {
  test.each([
    ["attendance: { concurrency: four }", 'attendance.concurrency: expected a whole number from 1 to 64, got "four"'],
    ["attendance: { concurrency: 65 }", "attendance.concurrency: expected a whole number from 1 to 64, got 65"],
    ["attendance: { concurrency: 1.5 }", "attendance.concurrency: expected a whole number from 1 to 64, got 1.5"],
    ["attendance: { joins_per_second: 0 }", "attendance.joins_per_second: expected a number above 0, got 0"],
    ["gateway: { front_door: yes please }", 'gateway.front_door: expected true or false, got "yes please"'],
    ["gateway: { listen: 9010 }", "gateway.listen: expected host:port, such as 127.0.0.1:9009 or [::1]:9009, got 9010"],
    ["log: { level: loud }", 'log.level: expected one of error, warn, info, debug, got "loud"'],
    ["log: debug", "log: expected keys and values, got a text"],
    [
      "storage: { journal_max_size: 1GB }",
      'storage.journal_max_size: expected a size with its unit, such as 512KiB, 100MiB or 1GiB, got "1GB"',
    ],
    ["storage: { sqlite: '' }", 'storage.sqlite: expected a path, got ""'],
    ["policy: { max_rooms: [1] }", "policy.max_rooms: expected a whole number from 1 to 1000000, got a list"],
    ["policy: { max_rooms: null }", "policy.max_rooms: expected a whole number from 1 to 1000000, got nothing"],
    [
      "pseudouser: { localpart: Emissary }",
      'pseudouser.localpart: expected nothing, or the letters a-z, digits and . _ = - / +, got "Emissary"',
    ],
    ["attendance: { lingr: 5m }", "attendance.lingr: unknown key; did you mean linger?"],
    ["attendance: { colour: red }", "attendance.colour: unknown key"],
    ["attendence: { linger: 5m }", "attendence: unknown key; did you mean attendance?"],
  ])("%s", (yaml, mistake) => {
    expect(mistakesIn({ config: `${REQUIRED}${yaml}\n` })).toEqual([mistake]);
  });

  test("all of them at once, those of the registration too", () => {
    const complaint = complaintAbout(() =>
      loadFiles({ config: "log: { level: loud }\n", registration: "id: emissary\n" }),
    );
    expect(complaint).toMatch(/emissary\.yaml has 10 mistakes:\n/);
    expect(complaint).toContain("homeserver.url: missing; expected an http:// or https:// address");
    expect(complaint).toContain("homeserver.server_name: missing");
    expect(complaint).toContain("appservice.url: missing");
    expect(complaint).toContain("admin.token: missing");
    expect(complaint).toContain("log.level: expected one of");
    for (const key of ["url", "as_token", "hs_token", "sender_localpart", "namespaces"]) {
      expect(complaint).toContain(`registration.yaml: ${key}: missing`);
    }
  });

  test("a registration with a required key missing is named with its path and the key", () => {
    const registration = REGISTRATION.replace(/^hs_token:.*$/m, "");
    expect(mistakesIn({ registration })).toEqual([
      expect.stringMatching(/^appservice\.registration: .*registration\.yaml: hs_token: missing; expected a token/),
    ]);
  });

  test("a registration of before there were tenants' senders does not let us act as the reader", () => {
    const registration = REGISTRATION.replace(/^ *- exclusive: true\n.*_emissary_.*\n/m, "");
    expect(registration).not.toBe(REGISTRATION);
    expect(loadFiles({ registration }).config.registration.claimsReader).toBe(false);
  });

  test("a registration that is not there", () => {
    expect(mistakesIn({ registration: null })).toEqual([
      expect.stringMatching(/^appservice\.registration: .*registration\.yaml does not exist$/),
    ]);
  });
});

describe("an operator whose file cannot be read", () => {
  test("is told where there is none, and how to get one", () => {
    const path = join(temporaryFolder(), "emissary.yaml");
    expect(complaintAbout(() => load({ path, env: {} }))).toBe(
      `${path} does not exist: \`emissary register\` writes one, --config names another`,
    );
  });

  test("is told the line where it is no YAML", () => {
    const complaint = complaintAbout(() => loadFiles({ config: "admin:\n  token: x\n bad: y\n" }));
    expect(complaint).toMatch(/emissary\.yaml, line 3, column \d+: /);
  });

  test.each(["admin:\n  token: *secretalias\n", "admin:\n  token: !secrettag\n", 'admin:\n  token: "secret\n'])(
    "is not shown the token that made it unreadable: %j",
    (config) => {
      expect(complaintAbout(() => loadFiles({ config }))).not.toContain("secret");
    },
  );

  test("is told when a key stands twice", () => {
    expect(complaintAbout(() => loadFiles({ config: `${REQUIRED}admin:\n  token: other\n` }))).toMatch(/line 9/);
  });
});

describe("a secret is never shown", () => {
  test.each([
    ["too short", "token: hush", "got 4 characters"],
    ["a number", "token: 1234567890123456", "got a number: put it in quotes"],
    ["with a space", "token: hush hush hush hush", "got 19 characters"],
  ])("when it is %s", (_, line, said) => {
    const mistakes = mistakesIn({ config: withLine(`token: ${ADMIN_TOKEN}`, line) }).join();
    expect(mistakes).toContain(said);
    expect(mistakes).not.toMatch(/hush|1234/);
  });

  test("when a forgotten colon makes it a part of its section", () => {
    const config = REQUIRED.replace(/admin:\n.*\n/, "admin: token=hush-hush-hush-hush\n");
    expect(mistakesIn({ config })).toEqual(["admin: expected keys and values, got a text"]);
  });

  test("when it stands in an address", () => {
    const mistakes = mistakesIn({ config: withLine("http://127.0.0.1:8008", "http://me:hush@127.0.0.1:8008") });
    expect(mistakes.join()).toContain("http://…@127.0.0.1:8008");
  });
});

describe("secrets from the environment", () => {
  const env = {
    EMISSARY_ADMIN_TOKEN: "admin-token-of-the-environment",
    EMISSARY_AS_TOKEN: "as-of-the-environment",
    EMISSARY_HS_TOKEN: "hs-of-the-environment",
  };

  test("go before those in the files", () => {
    const { config } = loadFiles({ env });
    expect(config.admin.token).toBe("admin-token-of-the-environment");
    expect(config.registration.asToken).toBe("as-of-the-environment");
    expect(config.registration.hsToken).toBe("hs-of-the-environment");
  });

  test("make the keys in the files unnecessary", () => {
    const registration = REGISTRATION.replace(/^[ah]s_token:.*$/gm, "");
    const config = REQUIRED.replace(/admin:\n.*\n/, "");
    expect(loadFiles({ config, registration, env }).config.registration.asToken).toBe("as-of-the-environment");
  });

  test("may be named as files, as container managers do, and a line end there does not count", () => {
    const file = join(temporaryFolder(), "secret");
    writeFileSync(file, "admin-token-in-a-file\n");
    expect(loadFiles({ env: { EMISSARY_ADMIN_TOKEN_FILE: file } }).config.admin.token).toBe("admin-token-in-a-file");
  });

  test("count as not given when they are empty", () => {
    expect(loadFiles({ env: { EMISSARY_ADMIN_TOKEN: "" } }).config.admin.token).toBe(ADMIN_TOKEN);
  });

  test.each([
    [
      { EMISSARY_HS_TOKEN: "one", EMISSARY_HS_TOKEN_FILE: "/nowhere" },
      "EMISSARY_HS_TOKEN and EMISSARY_HS_TOKEN_FILE are both set: only one of them may be",
    ],
    [{ EMISSARY_AS_TOKEN_FILE: "/nowhere/at/all" }, "EMISSARY_AS_TOKEN_FILE: /nowhere/at/all does not exist"],
    [
      { EMISSARY_ADMIN_TOKEN: "short" },
      "the admin token from a file or the environment: expected at least 16 printable ASCII characters without spaces, got 5 characters",
    ],
  ])("are mistakes: %o", (wrong, mistake) => {
    expect(mistakesIn({ env: wrong })).toEqual([mistake]);
  });

  test("admin.token_file is read from the configuration's folder, and excludes admin.token", () => {
    const config = withLine(`token: ${ADMIN_TOKEN}`, "token_file: admin.secret");
    const folder = folderWith({ config });
    writeFileSync(join(folder, "admin.secret"), "admin-token-in-a-file\n");
    expect(load({ path: join(folder, "emissary.yaml"), env: {} }).config.admin.token).toBe("admin-token-in-a-file");
    const both = withLine(`token: ${ADMIN_TOKEN}`, `token: ${ADMIN_TOKEN}\n  token_file: admin.secret`);
    expect(mistakesIn({ config: both })).toEqual([
      "admin.token and admin.token_file are both given: only one of them may be",
    ]);
  });
});

describe("the token of an administrator of the homeserver", () => {
  const config = withLine("server_name: example.org", "server_name: example.org\n  admin_token_file: root.token");
  const withToken = (token: string | null, env: Environment = {}) => {
    const folder = folderWith({ config });
    if (token !== null) writeFileSync(join(folder, "root.token"), token);
    return load({ path: join(folder, "emissary.yaml"), env }).config.homeserver;
  };

  test("is read from its file in the configuration's folder, or from the environment, which goes before", () => {
    const homeserver = { url: "http://127.0.0.1:8008", serverName: "example.org" };
    expect(withToken("syt_root\n")).toEqual({ ...homeserver, adminToken: "syt_root" });
    const env = { EMISSARY_HOMESERVER_ADMIN_TOKEN: "syt_other" };
    expect(withToken(null, env)).toEqual({ ...homeserver, adminToken: "syt_other" });
    expect(loadFiles({ env }).config.homeserver).toEqual({ ...homeserver, adminToken: "syt_other" });
  });

  test.each([
    [null, /homeserver\.admin_token_file: .*root\.token does not exist/],
    ["", /homeserver\.admin_token_file: .* is empty/],
    ["two words", /the homeserver's admin token: expected printable ASCII without spaces/],
  ])("%j is a mistake, and is not shown", (token, mistake) => {
    const complaint = complaintAbout(() => withToken(token));
    expect(complaint).toMatch(mistake);
    expect(complaint).not.toContain("two words");
  });
});

describe("files that other users of the machine may read", () => {
  test("are warned of, and keep nobody from starting", () => {
    const { warnings } = loadFiles({ mode: 0o644 });
    expect(warnings).toEqual([
      expect.stringMatching(/emissary\.yaml holds secrets and is open to other users/),
      expect.stringMatching(/registration\.yaml holds secrets .* chmod 600/),
    ]);
  });

  test("the configuration does not count when the token is elsewhere", () => {
    const { warnings } = loadFiles({
      config: REQUIRED.replace(/admin:\n.*\n/, ""),
      env: { EMISSARY_ADMIN_TOKEN: ADMIN_TOKEN },
      mode: 0o644,
    });
    expect(warnings).toEqual([expect.stringContaining("registration.yaml")]);
  });
});

test("the commands that ask the daemon read no more than its address and the token", () => {
  const config = `${REQUIRED}attendance: { concurrency: half-way through an edit }\n`;
  const path = join(folderWith({ config, registration: null }), "emissary.yaml");
  expect(loadAdminAccess({ path, env: {} })).toEqual({ listen: { host: "127.0.0.1", port: 9011 }, token: ADMIN_TOKEN });
});
