import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/model/json.ts";
import { daemon, emissary, refusal } from "./terminal.ts";

const AT = Date.UTC(2025, 0, 2, 3, 4, 5);

const line = (alias: string, more: JsonObject = {}): JsonObject => ({
  alias,
  room_id: "!a:b",
  state: "kept",
  code: null,
  reason: null,
  since: AT,
  checked_at: AT,
  empty_since: null,
  repair: null,
  advice: null,
  ...more,
});
const DEAD = line("#dead:b", {
  state: "dangling",
  code: "no-server",
  reason: "no server",
  repair: { act: "remove" },
  advice: "Mend it.",
});
const MOVED = line("#moved:b", {
  state: "refused",
  code: "banned",
  reason: "banned",
  repair: { act: "point", room_id: "!new:b", by: "replaced" },
});
const CLAIMED = line("#claimed:b", {
  state: "dangling",
  code: "no-server",
  reason: "no server",
  repair: { act: "point", room_id: "!other:b", by: "named" },
});

const page = (aliases: readonly JsonObject[], keep = true): JsonValue => ({
  keep,
  sweep: { running: false, finished_at: AT, failure: null, next_at: AT },
  aliases: [...aliases],
  next: null,
});
const done = (alias: string): JsonValue => ({ alias, done: true });

async function daemonWith(...aliases: JsonObject[]) {
  return daemon({
    "GET /aliases": page(aliases),
    "POST /aliases/#dead:b/repair": done("#dead:b"),
    "POST /aliases/#moved:b/repair": done("#moved:b"),
    "POST /aliases/#claimed:b/repair": done("#claimed:b"),
    "POST /aliases/sweep": { sweeping: true },
  });
}
const deeds = (asked: { readonly line: string }[]): string[] =>
  asked.map((ask) => ask.line).filter((ask) => ask.startsWith("POST"));

describe("aliases", () => {
  test("shows each alias with its room and why it is not kept, and on the other channel what can be done", async () => {
    const { config } = await daemonWith(line("#a:b", { empty_since: AT }), DEAD);
    const { stdout, stderr } = await emissary(["aliases", ...config]);
    expect(stdout).toBe(`ALIAS    ROOM  STATE        SINCE                 WHY NOT
#a:b     !a:b  kept, empty  2025-01-02T03:04:05Z  -
#dead:b  !a:b  dangling     2025-01-02T03:04:05Z  no server (no-server)
`);
    expect(stderr).toBe("#dead:b: Mend it.\n");
  });

  test("prints JSON for programs", async () => {
    const { config } = await daemonWith(DEAD);
    expect(JSON.parse((await emissary(["aliases", "--json", ...config])).stdout)).toEqual([DEAD]);
  });

  test("says so where none is known, or none is looked after", async () => {
    expect((await emissary(["aliases", ...(await daemonWith()).config])).stderr).toContain("No aliases are known");
    const off = await daemon({ "GET /aliases": page([DEAD], false) });
    expect((await emissary(["aliases", ...off.config])).stderr).toContain("aliases.keep is false");
  });

  test("has all of them looked at", async () => {
    const { config, asked } = await daemonWith();
    expect((await emissary(["aliases", "--sweep", ...config])).exitCode).toBe(0);
    expect(deeds(asked)).toEqual(["POST /aliases/sweep"]);
  });

  test.each([["--repair", "--json"], ["--sweep", "--repair"], ["--yes"]])("%s %s is wrong usage", async (...flags) => {
    const { config } = await daemonWith();
    expect((await emissary(["aliases", ...flags, ...config])).exitCode).toBe(2);
  });
});

describe("aliases --repair", () => {
  test("asks for each, and does what was answered with yes", async () => {
    const { config, asked } = await daemonWith(line("#a:b"), DEAD, MOVED, CLAIMED);
    const { exitCode, stdout, stderr } = await emissary(["aliases", "--repair", ...config], {
      answers: ["n", "y", ""],
    });
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      "#dead:b points to !a:b, which is dangling (no server), and nothing is known that took its place: remove it.",
    );
    expect(stderr).toContain("#claimed:b: point it to !other:b? [y/N]");
    expect(stdout).toBe("#moved:b: done, point it to !new:b\n");
    expect(deeds(asked)).toEqual(["POST /aliases/#moved:b/repair"]);
    expect(asked.at(-1)?.body).toEqual({ act: "point", room_id: "!new:b", by: "replaced" });
  });

  test("changes nothing where nobody can be asked", async () => {
    const { config, asked } = await daemonWith(DEAD);
    const { exitCode, stderr } = await emissary(["aliases", "--repair", ...config]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("Nothing was changed: nobody is there to be asked.");
    expect(deeds(asked)).toEqual([]);
  });

  test("does all with --yes, but for what a room claims for itself", async () => {
    const { config, asked } = await daemonWith(DEAD, MOVED, CLAIMED);
    const { exitCode, stderr } = await emissary(["aliases", "--repair", "--yes", ...config]);
    expect(exitCode).toBe(0);
    expect(deeds(asked)).toEqual(["POST /aliases/#dead:b/repair", "POST /aliases/#moved:b/repair"]);
    expect(stderr).toContain("--yes leaves those out that a room claims for itself");
  });

  test("says why one could not be mended, and goes on", async () => {
    const { config } = await daemon({
      "GET /aliases": page([DEAD, MOVED]),
      "POST /aliases/#dead:b/repair": refusal("refused-by-homeserver", "The homeserver does not want that."),
      "POST /aliases/#moved:b/repair": done("#moved:b"),
    });
    const { exitCode, stdout, stderr } = await emissary(["aliases", "--repair", "--yes", ...config]);
    expect(exitCode).toBe(1);
    expect(stdout).toBe("#moved:b: done, point it to !new:b\n");
    expect(stderr).toContain("#dead:b: The homeserver does not want that.");
  });

  test("has nothing to do where all is well", async () => {
    const { config } = await daemonWith(line("#a:b"));
    expect(await emissary(["aliases", "--repair", ...config])).toMatchObject({
      exitCode: 0,
      stdout: "No alias needs a repair that can be made from here.\n",
    });
  });
});
