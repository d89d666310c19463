import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../config/folder.ts";
import { configFor, daemon, emissary, freePort, listening, refusal } from "./terminal.ts";

describe("a script can tell by the exit code", () => {
  test("0: that it is done", async () => {
    const { config } = await daemon({ "GET /tenants": { tenants: [] } });
    expect((await emissary(["tenant", "list", ...config])).exitCode).toBe(0);
    expect((await emissary(["--help"])).exitCode).toBe(0);
    expect((await emissary(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("1: that it failed, with the daemon's sentence", async () => {
    const { config } = await daemon({ "GET /rooms/!a:b": refusal("not-found", "Emissary knows no room !a:b.") });
    expect(await emissary(["rooms", "show", "!a:b", ...config])).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "emissary: Emissary knows no room !a:b.\n",
    });
  });

  test.each([
    ["no command", []],
    ["an unknown command", ["dance"]],
    ["an unknown option", ["status", "--colour"]],
    ["an argument too few", ["members"]],
    ["an argument too many", ["status", "now"]],
    ["a room that is none", ["rooms", "show", "kitchen"]],
    ["a membership that is none", ["members", "!a:b", "--membership", "guest"]],
    ["a limit that is none", ["audit", "--limit", "0"]],
    ["a tenant's name that is none", ["tenant", "show", "-x/y"]],
    ["a route that is none", ["rooms", "join", "!a:b", "--via", "not a server"]],
  ])("2: that it was called wrongly: %s", async (_, args) => {
    const { exitCode, stdout, stderr } = await emissary([...args, ...(await daemon({})).config]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).not.toBe("");
  });

  test("3: that policy refused", async () => {
    const reason = "!a:b has 30000 members, more than policy.max_members (20000).";
    const { config } = await daemon({ "POST /rooms/!a:b/join": refusal("refused-by-policy", reason) });
    expect(await emissary(["rooms", "join", "!a:b", ...config])).toEqual({
      exitCode: 3,
      stdout: "",
      stderr: `emissary: ${reason}\n`,
    });
  });

  test("4: that the daemon is not reachable", async () => {
    const port = await freePort();
    const { exitCode, stderr } = await emissary(["status", "--config", configFor(port)]);
    expect(exitCode).toBe(4);
    expect(stderr).toBe(
      `emissary: The daemon is not reachable at http://127.0.0.1:${port}: nothing listens there. ` +
        "Start it with `emissary run`, or look at admin.listen in the configuration.\n",
    );
  });
});

describe("an operator is told in a sentence, without a trace,", () => {
  test("when there is no configuration", async () => {
    const path = join(temporaryFolder(), "emissary.yaml");
    for (const command of ["status", "run"]) {
      const { exitCode, stderr } = await emissary([command, "--config", path]);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 1,
        stderr: `emissary: ${path} does not exist: \`emissary register\` writes one, --config names another\n`,
      });
    }
  });

  test("when the daemon has another token", async () => {
    const { config } = await daemon({}, "another-token");
    const { exitCode, stderr } = await emissary(["status", ...config]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("does not accept the admin token");
  });

  test("when something else listens there", async () => {
    const port = await listening(createServer((_, response) => response.end("<h1>It works!</h1>")));
    const { exitCode, stderr } = await emissary(["status", "--config", configFor(port)]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("is not this version of Emissary's admin API");
  });

  test("when what listens there hangs up", async () => {
    const port = await listening(createServer((request) => request.socket.destroy()));
    expect((await emissary(["status", "--config", configFor(port)])).exitCode).toBe(4);
  });

  test("when nobody can know the daemon's port", async () => {
    const { exitCode, stderr } = await emissary(["status", "--config", configFor(0)]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("admin.listen has port 0");
  });

  test("when a remote server's word in a refusal would repaint the screen", async () => {
    const { config } = await daemon({ "GET /rooms/!a:b": refusal("refused-by-homeserver", "\u001b[2Jgone") });
    expect((await emissary(["rooms", "show", "!a:b", ...config])).stderr).toBe("emissary: \\u{1b}[2Jgone\n");
  });
});

test("a daemon that listens on every address is asked on this machine's own", async () => {
  const port = await freePort();
  const path = join(temporaryFolder(), "emissary.yaml");
  writeFileSync(path, `admin: { listen: "0.0.0.0:${port}", token: an-admin-token-of-a-test }\n`);
  expect((await emissary(["status", "--config", path])).stderr).toContain(`not reachable at http://127.0.0.1:${port}:`);
});
