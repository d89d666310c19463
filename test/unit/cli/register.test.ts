import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { load } from "../../../src/platform/config/load.ts";
import { sampleRegistration } from "../../../scripts/config-sample.ts";
import type { Registration } from "../../../src/platform/registration.ts";
import { temporaryFolder } from "../config/folder.ts";
import { emissary } from "./terminal.ts";

const FLAGS = [
  "--homeserver-url",
  "http://127.0.0.1:8008",
  "--server-name",
  "example.org",
  "--url",
  "http://127.0.0.1:9009",
];
const register = (folder: string, ...flags: string[]) => emissary(["register", "--dir", folder, ...flags]);
const read = (folder: string, name: string) => readFileSync(join(folder, name), "utf8");
const loaded = (folder: string) => load({ path: join(folder, "emissary.yaml"), env: {} });

describe("an operator who registers for the first time", () => {
  test("gets both files, which only they may read and which load without a word", async () => {
    const folder = join(temporaryFolder(), "new", "folder");
    const { exitCode, stderr } = await register(folder, ...FLAGS);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(readdirSync(folder).sort()).toEqual(["emissary.yaml", "registration.yaml"]);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const { config, warnings } = loaded(folder);
    expect(warnings).toEqual([]);
    expect(config.homeserver).toEqual({ url: "http://127.0.0.1:8008", serverName: "example.org" });
    const { asToken, hsToken } = config.registration;
    expect(new Set([asToken, hsToken, config.admin.token]).size).toBe(3);
  });

  test("is told what to do next, and no secret", async () => {
    const folder = temporaryFolder();
    const { stdout } = await register(folder, ...FLAGS);
    expect(stdout).toContain("app_service_config_files:");
    expect(stdout).toContain(JSON.stringify(join(folder, "registration.yaml")));
    expect(stdout).toContain("Restart Synapse");
    expect(stdout).toContain(`emissary run --config ${join(folder, "emissary.yaml")}`);
    expect(stdout).not.toContain("fresh-token");
  });

  test("may give the pseudouser a localpart, in both files", async () => {
    const folder = temporaryFolder();
    await register(folder, ...FLAGS, "--localpart", "_pseudo");
    expect(loaded(folder).config.pseudouser.localpart).toBe("_pseudo");
    expect(read(folder, "registration.yaml")).toContain("regex: ^@_pseudo:example\\.org$");
  });

  test("listens where the homeserver looks for us on this machine", async () => {
    const folder = temporaryFolder();
    await register(folder, ...FLAGS.slice(0, 4), "--url", "http://localhost:9119");
    expect(loaded(folder).config.appservice.listen).toEqual({ host: "127.0.0.1", port: 9119 });
  });

  test("is told where the homeserver would not find us", async () => {
    const { stdout } = await register(temporaryFolder(), ...FLAGS.slice(0, 4), "--url", "http://emissary:9009");
    expect(stdout).toContain("appservice.listen is 127.0.0.1:9009, which only this\n   machine reaches");
  });
});

describe("values that were not given", () => {
  test("are asked for at a terminal, again where an answer does not fit", async () => {
    const folder = temporaryFolder();
    const answers = ["", "not a name!", "example.org", ""];
    const { exitCode, stderr } = await emissary(["register", "--dir", folder], { answers });
    expect(exitCode).toBe(0);
    expect(stderr).toContain("Where does Emissary reach the homeserver? [http://127.0.0.1:8008]");
    expect(stderr).toContain("Expected a server name, such as example.org.");
    expect(loaded(folder).config.homeserver).toEqual({ url: "http://127.0.0.1:8008", serverName: "example.org" });
  });

  test("are all named where nobody can answer", async () => {
    const folder = temporaryFolder();
    const { exitCode, stderr } = await register(folder, "--server-name", "example.org");
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: "emissary: missing: --homeserver-url, --url\n" });
    expect(readdirSync(folder)).toEqual([]);
  });

  test("or that are wrong, all at once", async () => {
    const flags = ["--homeserver-url", "ftp://x", "--server-name", "a b", "--url", "y", "--localpart", "Ä"];
    const { exitCode, stderr } = await register(temporaryFolder(), ...flags);
    expect(exitCode).toBe(2);
    expect(stderr.match(/--[a-z-]+: expected/g)).toEqual([
      "--homeserver-url: expected",
      "--server-name: expected",
      "--url: expected",
      "--localpart: expected",
    ]);
  });

  test("--config is none of its flags, because it writes that file", async () => {
    const { exitCode, stderr } = await emissary(["register", "--config", "other.yaml"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("takes no --config");
  });
});

describe("namespaces to be reserved", () => {
  test.each([
    "(",
    "_telegram_.*",
    "@.*",
    "^@.+:example\\.org$",
    "@[^:]+:example\\.org",
    "#",
    "#.*",
    "^(#.*):example\\.org$",
    "#\\S+:example\\.org:8448",
    "#(?:.|_)*:example\\.org",
  ])("%s is refused, and nothing is written", async (regex) => {
    const folder = temporaryFolder();
    const { exitCode, stderr } = await register(folder, ...FLAGS, "--reserve", regex);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--reserve: ");
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ["@_telegram_.*:example\\.org", ""],
    ["#_?telegram_.*:example\\.org", ""],
    ["@telegram_.*:example\\.org", "people whose IDs match can no longer register"],
    ["@_telegram_.*", "does not name :example.org"],
  ])("%s is taken, with what there is to know: %j", async (regex, warning) => {
    const { exitCode, stderr } = await register(temporaryFolder(), ...FLAGS, "--reserve", regex);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(warning);
    expect(stderr === "").toBe(warning === "");
  });
});

describe("an operator who has registered before", () => {
  async function registered(): Promise<string> {
    const folder = temporaryFolder();
    await register(folder, ...FLAGS);
    return folder;
  }

  test("loses nothing without --force", async () => {
    const folder = await registered();
    const before = read(folder, "registration.yaml");
    const { exitCode, stderr } = await register(folder, ...FLAGS);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${join(folder, "registration.yaml")} and ${join(folder, "emissary.yaml")} exist already`);
    expect(read(folder, "registration.yaml")).toBe(before);
  });

  test("keeps tokens, comments and other settings with --force, and need not repeat what the files say", async () => {
    const folder = await registered();
    const before = loaded(folder).config;
    writeFileSync(join(folder, "emissary.yaml"), `${read(folder, "emissary.yaml")}\n# Ours:\nlog:\n  level: debug\n`);
    const { exitCode } = await register(folder, "--force", "--url", "http://127.0.0.1:9019");
    expect(exitCode).toBe(0);
    const { config } = loaded(folder);
    expect(config.registration).toEqual({ ...before.registration, url: "http://127.0.0.1:9019" });
    expect(config.admin).toEqual(before.admin);
    expect(config.log.level).toBe("debug");
    expect(read(folder, "emissary.yaml")).toContain("# Ours:");
  });

  test("gets new tokens with --force --rotate", async () => {
    const folder = await registered();
    writeFileSync(join(folder, "registration.yaml"), read(folder, "registration.yaml").replace(/fresh/g, "older"));
    writeFileSync(join(folder, "emissary.yaml"), read(folder, "emissary.yaml").replace(/fresh/g, "older"));
    await register(folder, "--force", "--rotate");
    const { config } = loaded(folder);
    for (const token of [config.registration.asToken, config.registration.hsToken, config.admin.token]) {
      expect(token).toMatch(/^fresh-/);
    }
  });

  test("keeps a token file of their own", async () => {
    const folder = await registered();
    const withFile = read(folder, "emissary.yaml").replace(/token: .*/, "token_file: admin.secret");
    writeFileSync(join(folder, "emissary.yaml"), withFile);
    await register(folder, "--force", "--rotate");
    expect(read(folder, "emissary.yaml")).toMatch(/token_file: admin.secret/);
    expect(read(folder, "emissary.yaml")).not.toMatch(/ token: /);
  });

  test("keeps the reserved namespaces, and adds to them, whatever else changes", async () => {
    const folder = await registered();
    const users = () =>
      (parse(read(folder, "registration.yaml")) as Registration).namespaces.users.map(({ exclusive, regex }) => {
        expect(exclusive).toBe(true);
        return regex;
      });
    const aliases = () => (parse(read(folder, "registration.yaml")) as Registration).namespaces.aliases;
    const [telegram, irc] = ["^@_telegram_.*:example\\.org$", "@_irc_.*:example\\.org"];
    await register(folder, "--force", "--reserve", telegram, "#telegram_.*:example\\.org");
    const senders = "^@_emissary_.*:example\\.org$";
    expect(users()).toEqual(["^@:example\\.org$", senders, telegram]);
    await register(folder, "--force", "--rotate", "--localpart", "_pseudo", "--reserve", irc, "--reserve", telegram);
    expect(users()).toEqual(["^@_pseudo:example\\.org$", senders, telegram, irc]);
    writeFileSync(join(folder, "emissary.yaml"), "neither: [this");
    await register(folder, "--force", ...FLAGS);
    expect(users()).toEqual(["^@:example\\.org$", senders, telegram, irc]);
    expect(aliases()).toEqual([
      { exclusive: true, regex: "#telegram_.*:example\\.org" },
      { exclusive: false, regex: "^#.*:example\\.org$" },
    ]);
  });

  test("keeps what the homeserver is to tell of, until told otherwise", async () => {
    const folder = temporaryFolder();
    const everybodys = () => {
      const { users, aliases } = (parse(read(folder, "registration.yaml")) as Registration).namespaces;
      return [...users, ...aliases].filter(({ exclusive }) => !exclusive).map(({ regex }) => regex);
    };
    const [users, aliases] = ["^@.*:example\\.org$", "^#.*:example\\.org$"];
    await register(folder, ...FLAGS, "--no-aliases", "--watch-invites");
    expect(everybodys()).toEqual([users]);
    await register(folder, "--force", "--rotate");
    expect(everybodys()).toEqual([users]);
    await register(folder, "--force", "--aliases");
    expect(everybodys()).toEqual([users, aliases]);
    await register(folder, "--force", "--no-watch-invites");
    expect(everybodys()).toEqual([aliases]);
  });

  test("is told what could not be kept", async () => {
    const folder = await registered();
    writeFileSync(join(folder, "registration.yaml"), "no: [yaml");
    writeFileSync(join(folder, "emissary.yaml"), "neither: [this");
    const { exitCode, stderr } = await register(folder, "--force", ...FLAGS);
    expect(exitCode).toBe(0);
    expect(stderr).toContain("registration.yaml holds no tokens that can be kept: it gets new ones.");
    expect(stderr).toContain("emissary.yaml cannot be read as YAML: it is written anew");
    expect(loaded(folder).warnings).toEqual([]);
  });

  test("never keeps the sample's tokens", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "registration.yaml"), sampleRegistration());
    await register(folder, "--force", ...FLAGS);
    expect(loaded(folder).config.registration.asToken).toMatch(/^fresh-/);
  });
});
