import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { JsonObject } from "../../../src/model/json.ts";
import { temporaryFolder } from "../config/folder.ts";
import { configFor, daemon, emissary, freePort, refusal } from "./terminal.ts";

const REGISTRATION: JsonObject = {
  id: "telegram",
  url: "http://127.0.0.1:29317",
  as_token: "the-as-token",
  hs_token: "the-hs-token",
  sender_localpart: "_emissary_telegram",
  rate_limited: false,
  namespaces: { users: [{ exclusive: true, regex: "^@_telegram_.*:b$" }], aliases: [], rooms: [] },
};
const TENANT: JsonObject = {
  id: "telegram",
  sender: "@_emissary_telegram:b",
  url: "http://127.0.0.1:29317",
  users: "^@_telegram_.*:b$",
  overlaps: [],
  users_fault: null,
  grants: [{ rooms: ["*"], actions: ["read", "send"], types: null, source: "operator" }],
  ephemeral: false,
  sync_anew: null,
  max_transaction: null,
  ca: null,
  paused_at: null,
  created_at: Date.UTC(2025, 0, 2, 3, 4, 5),
  leases: 2,
  delivery: null,
};
const WITH_REGISTRATION = { tenant: TENANT, registration: REGISTRATION };

describe("tenant add", () => {
  test("prints the registration alone on stdout, so that it can be sent into a file", async () => {
    const { config, asked } = await daemon({ "POST /tenants": WITH_REGISTRATION });
    const flags = ["--url", "http://127.0.0.1:29317", "--users", "^@_telegram_.*:b$", "--actions", "read,send"];
    const { exitCode, stdout, stderr } = await emissary(["tenant", "add", "telegram", ...flags, ...config]);
    expect(exitCode).toBe(0);
    expect(parse(stdout)).toEqual(REGISTRATION);
    expect(stderr).toContain("Added the tenant telegram, which takes itself for @_emissary_telegram:b.");
    expect(stderr).not.toContain("Warning");
    expect(asked[0]?.body).toEqual({
      id: "telegram",
      url: "http://127.0.0.1:29317",
      users: "^@_telegram_.*:b$",
      actions: ["read", "send"],
    });
  });

  test.each([
    ["^@_telegram_.*:b$", false],
    ["@_telegram_.*:b", false],
    ["@_irc_.*:b", true],
  ])("says where people could take the personas' IDs: %s reserved", async (reserved, warned) => {
    const { config } = await daemon({ "POST /tenants": WITH_REGISTRATION });
    const users = [reserved, "^@_emissary_.*:b$"].map((regex) => ({ exclusive: true, regex }));
    writeFileSync(join(dirname(config[1]!), "registration.yaml"), JSON.stringify({ namespaces: { users } }));
    const flags = ["--users", "^@_telegram_.*:b$"];
    const { stderr } = await emissary(["tenant", "add", "telegram", ...flags, ...config]);
    expect(stderr.includes("emissary register --force --reserve '^@_telegram_.*:b$'")).toBe(warned);
  });

  test("reserves the personas' IDs and the senders' where the registration is ours to write, and says what to load", async () => {
    const { config } = await daemon({ "POST /tenants": WITH_REGISTRATION });
    const path = join(dirname(config[1]!), "registration.yaml");
    writeFileSync(path, "# mine\nid: emissary\nnamespaces:\n  users:\n    - { exclusive: true, regex: '^@:b$' }\n", {
      mode: 0o600,
    });
    const flags = ["--users", "^@_telegram_.*:b$"];
    const { stderr } = await emissary(["tenant", "add", "telegram", ...flags, ...config]);
    const text = readFileSync(path, "utf8");
    expect(text).toMatch(/^# mine\n/);
    expect(parse(text)).toEqual({
      id: "emissary",
      namespaces: {
        users: ["^@:b$", "^@_emissary_.*:b$", "^@_telegram_.*:b$"].map((regex) => ({ exclusive: true, regex })),
      },
    });
    expect(stderr).toContain(`${path} as it is now (Synapse: app_service_config_files), and restart it and Emissary.`);
    expect(stderr).not.toContain("Warning");
    const again = await emissary(["tenant", "add", "telegram", ...flags, ...config]);
    expect(again.stderr).not.toContain("Reserved");
  });

  test("writes it to a file for the owner alone, and then shows no token", async () => {
    const { config } = await daemon({ "POST /tenants": WITH_REGISTRATION });
    const out = join(temporaryFolder(), "telegram.yaml");
    const { stdout, stderr } = await emissary(["tenant", "add", "telegram", "--out", out, ...config]);
    expect(stdout).toBe("");
    expect(stderr).not.toContain("the-as-token");
    expect(parse(readFileSync(out, "utf8"))).toEqual(REGISTRATION);
    expect(statSync(out).mode & 0o777).toBe(0o600);
  });

  test("adds nothing where the file exists already, because the tokens are told only once", async () => {
    const { config, asked } = await daemon({ "POST /tenants": WITH_REGISTRATION });
    const out = join(temporaryFolder(), "precious.txt");
    writeFileSync(out, "precious");
    const { exitCode, stderr } = await emissary(["tenant", "add", "telegram", "--out", out, ...config]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: `emissary: ${out} exists already and is not overwritten.\n`,
    });
    expect(readFileSync(out, "utf8")).toBe("precious");
    expect(asked).toEqual([]);
  });

  test("leaves no file behind where the daemon refuses or is not there", async () => {
    const out = join(temporaryFolder(), "telegram.yaml");
    const { config } = await daemon({ "POST /tenants": refusal("in-use", "There is a tenant telegram already.") });
    expect((await emissary(["tenant", "add", "telegram", "--out", out, ...config])).exitCode).toBe(1);
    expect(existsSync(out)).toBe(false);
    const nobody = ["--config", configFor(await freePort())];
    expect((await emissary(["tenant", "add", "telegram", "--out", out, ...nobody])).exitCode).toBe(4);
    expect(existsSync(out)).toBe(false);
  });

  test.each([
    [".*", true],
    ["^@.*:b$", true],
    ["@telegram_.*", true],
    ["(@_a|@b).*", false],
    ["@_telegram_.*", false],
    ["^@_telegram_.*:b$", false],
  ])("warns of personas that ordinary users could be: %s %s", async (users, warns) => {
    const { config } = await daemon({ "POST /tenants": WITH_REGISTRATION });
    const { stderr } = await emissary(["tenant", "add", "telegram", "--users", users, ...config]);
    expect(stderr.includes("Warning")).toBe(warns);
  });

  test("warns, by name, of a tenant whose namespace may have the same users; and so does tenant show", async () => {
    const overlaps = [{ tenant: "irc", user_id: null, theirs: true }];
    const overlapping = { ...TENANT, overlaps };
    const { config } = await daemon({
      "POST /tenants": { ...WITH_REGISTRATION, tenant: overlapping },
      "GET /tenants/telegram": { ...TENANT, overlaps: [{ tenant: "irc", user_id: "@_telegram_1:b", theirs: false }] },
    });
    const { exitCode, stderr } = await emissary(["tenant", "add", "telegram", "--users", "@_telegram_.*", ...config]);
    expect([exitCode, stderr]).toEqual([
      0,
      expect.stringContaining(
        "Warning: the namespace of telegram may have users in common with irc: they are of irc, which was added first.",
      ),
    ]);
    const { stdout } = await emissary(["tenant", "show", "telegram", ...config]);
    expect(stdout).toContain("has @_telegram_1:b in common with irc: they stay with this one");
  });

  test("tells all that is wrong with what was given before it asks the daemon", async () => {
    const flags = ["--url", "telegram", "--users", "@_(", "--actions", "read,dance"];
    const { config, asked } = await daemon({});
    const { exitCode, stderr } = await emissary(["tenant", "add", "telegram", ...flags, ...config]);
    expect(exitCode).toBe(2);
    expect(stderr.match(/--[a-z]+:/g)).toEqual(["--url:", "--users:", "--actions:"]);
    expect(stderr).toContain("dance: there are read, send, redact, redact-others, state, room-state");
    expect(asked).toEqual([]);
  });
});

describe("tenant rotate", () => {
  test("replaces the tenant's former file", async () => {
    const { config } = await daemon({ "POST /tenants/telegram/rotate": WITH_REGISTRATION });
    const out = join(temporaryFolder(), "telegram.yaml");
    writeFileSync(out, "id: telegram\nas_token: old\n");
    const { exitCode, stdout, stderr } = await emissary(["tenant", "rotate", "telegram", "--out", out, ...config]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toContain("those it had are no longer accepted");
    expect(parse(readFileSync(out, "utf8"))).toEqual(REGISTRATION);
  });

  test.each(["precious", "id: another\nas_token: old\n", "no: [yaml"])(
    "does nothing where the file is something else: %j",
    async (content) => {
      const { config, asked } = await daemon({ "POST /tenants/telegram/rotate": WITH_REGISTRATION });
      const out = join(temporaryFolder(), "file");
      writeFileSync(out, content);
      expect((await emissary(["tenant", "rotate", "telegram", "--out", out, ...config])).exitCode).toBe(1);
      expect(readFileSync(out, "utf8")).toBe(content);
      expect(asked).toEqual([]);
    },
  );

  test("shows the new tokens rather than losing them where the file cannot be written", async () => {
    const { config } = await daemon({ "POST /tenants/telegram/rotate": WITH_REGISTRATION });
    const out = join(temporaryFolder(), "no", "such", "folder.yaml");
    const { exitCode, stdout } = await emissary(["tenant", "rotate", "telegram", "--out", out, ...config]);
    expect(exitCode).toBe(1);
    expect(parse(stdout)).toEqual(REGISTRATION);
  });
});

test("tenant list and show", async () => {
  const { config } = await daemon({ "GET /tenants": { tenants: [TENANT] }, "GET /tenants/telegram": TENANT });
  expect((await emissary(["tenant", "list", ...config])).stdout).toBe(
    `TENANT    SENDER                 LEASES  MAY             PERSONAS           URL
telegram  @_emissary_telegram:b       2  read,send in *  ^@_telegram_.*:b$  http://127.0.0.1:29317
`,
  );
  expect((await emissary(["tenant", "show", "telegram", ...config])).stdout).toContain(
    "added     2025-01-02T03:04:05Z\n",
  );
  expect(JSON.parse((await emissary(["tenant", "show", "telegram", "--json", ...config])).stdout)).toEqual(TENANT);
});

describe("what a tenant may", () => {
  const grants = [
    { rooms: ["*"], actions: ["read", "send"], types: null, source: "operator" },
    { rooms: ["#ops:b", "!a:b"], actions: ["state"], types: ["com.example.*"], source: "operator" },
    { rooms: ["!c:b"], actions: ["read", "send"], types: null, source: "invite" },
  ];

  test("is shown a grant a line, with rooms, types and whence it is", async () => {
    const { config } = await daemon({ "GET /tenants/telegram": { ...TENANT, grants } });
    expect((await emissary(["tenant", "show", "telegram", ...config])).stdout).toContain(
      `may       read, send in every public room
          state (of the types com.example.*) in #ops:b, !a:b
          read, send in !c:b, by an invite
`,
    );
  });

  test("is listed in short", async () => {
    const { config } = await daemon({ "GET /tenants": { tenants: [{ ...TENANT, grants }] } });
    expect((await emissary(["tenant", "list", ...config])).stdout).toContain(
      "read,send in *; state (some types) in #ops:b +1; 1 more",
    );
  });

  test("is nothing, where all was taken from it", async () => {
    const bare = { ...TENANT, grants: [] };
    const { config } = await daemon({ "GET /tenants/telegram": bare, "GET /tenants": { tenants: [bare] } });
    expect((await emissary(["tenant", "show", "telegram", ...config])).stdout).toContain("may       nothing\n");
    expect((await emissary(["tenant", "list", ...config])).stdout).toContain("  nothing  ");
  });
});

describe("tenant allow", () => {
  const answers = { "POST /tenants/telegram/grants": TENANT };

  test.each<[string[], JsonObject]>([
    [[], {}],
    [
      ["--room", "#ops:b", "!a:b", "--action", "read, state,read"],
      { rooms: ["#ops:b", "!a:b"], actions: ["read", "state"] },
    ],
    [["--room", "!a:b", "--room", "!c:*"], { rooms: ["!a:b", "!c:*"] }],
    [["--type", "m.room.*", "com.example.x", "--only"], { types: ["m.room.*", "com.example.x"], only: true }],
  ])("with %j asks for %j", async (flags, asks) => {
    const { config, asked } = await daemon(answers);
    const { exitCode, stdout } = await emissary(["tenant", "allow", "telegram", ...flags, ...config]);
    expect(asked[0]?.body).toEqual({
      rooms: ["*"],
      actions: ["read", "send", "redact"],
      types: null,
      only: false,
      ...asks,
    });
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: "The tenant telegram may now:\n  read, send in every public room\n",
    });
  });

  test("tells all that is wrong before it asks the daemon", async () => {
    const { config, asked } = await daemon(answers);
    const flags = ["--room", "ops", "**", "--action", "dance", "--type", ""];
    const { exitCode, stderr } = await emissary(["tenant", "allow", "telegram", ...flags, ...config]);
    expect(exitCode).toBe(2);
    expect(stderr.match(/--[a-z]+:/g)).toEqual(["--room:", "--room:", "--action:", "--type:"]);
    expect(asked).toEqual([]);
  });

  test("passes on what the daemon has against it", async () => {
    const { config } = await daemon({ "POST /tenants/telegram/grants": refusal("not-found", "There is no tenant.") });
    expect(await emissary(["tenant", "allow", "telegram", ...config])).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "emissary: There is no tenant.\n",
    });
  });
});

test("tenant remove says how much ended with it", async () => {
  const { config } = await daemon({ "DELETE /tenants/telegram": { removed: true, leases_ended: 2 } });
  expect((await emissary(["tenant", "remove", "telegram", ...config])).stdout).toBe(
    "Removed the tenant telegram; 2 of its leases ended.\n",
  );
});
