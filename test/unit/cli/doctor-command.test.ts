import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CHECKS, CONFIGURATION, PUBLIC, report, summary } from "../../../src/cli/doctor/examine.ts";
import { findingsOf, quoted, thisMachine } from "../../../src/cli/doctor/context.ts";
import { takeInstanceLock } from "../../../src/storage/instance-lock.ts";
import { temporaryFolder } from "../config/folder.ts";
import { emissary } from "./terminal.ts";

describe("the report", () => {
  const { ok, skipped, warning, failure } = findingsOf("address");
  const problem = { what: "It does not work.", why: "It is broken.", do: "Mend it." };

  test("is a line for what is well and for what was not looked at, and a paragraph for a problem", () => {
    const findings = [ok("reached"), skipped("nobody is there"), failure(problem)];
    expect(report(findings)).toBe(
      `ok       address  reached
skipped  address  nobody is there
FAILURE  address  It does not work.
         Probably why: It is broken.
         Do: Mend it.
         Read: docs/reference/doctor.md#address`,
    );
    expect(summary([...findings, failure(problem), warning(problem)])).toBe("2 failures, 1 warning, 1 skipped, 1 ok");
  });

  test("shows what acts on a terminal, and does not let it act", () => {
    const nasty = { ...problem, what: `The homeserver says ${quoted("\u001b[2J\u202eno")}` };
    expect(report([warning(nasty)])).toContain("The homeserver says “\\u{1b}[2J\\u{202e}no”");
  });

  test("quotes no more of a stranger than a line", () => {
    expect(quoted(`a\n\n  b ${"x".repeat(500)}`)).toHaveLength(203);
  });
});

describe("the command", () => {
  test("exits with 1 where something failed, and says it on standard output", async () => {
    const path = join(temporaryFolder(), "emissary.yaml");
    const { exitCode, stdout, stderr } = await emissary(["doctor", "--config", path]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^FAILURE {2}configuration .*emissary\.yaml does not exist/);
    expect(stderr).toBe(`1 failure, ${Object.keys(CHECKS).length} skipped.\n`);
  });

  test("gives a program all findings, each with the same keys", async () => {
    const path = join(temporaryFolder(), "emissary.yaml");
    const { exitCode, stdout, stderr } = await emissary(["doctor", "--json", "--config", path]);
    const findings = JSON.parse(stdout) as object[];
    expect([exitCode, stderr, findings.length]).toEqual([1, "", Object.keys(CHECKS).length + 1]);
    for (const finding of findings) {
      expect(Object.keys(finding).sort()).toEqual(["check", "do", "level", "read", "what", "why"]);
    }
  });

  test("makes one check more where it is given the address that clients use, which has to be one", async () => {
    const path = join(temporaryFolder(), "emissary.yaml");
    const more = ["--json", "--public-url", "https://matrix.example.org/"];
    const { stdout } = await emissary(["doctor", "--config", path, ...more]);
    expect((JSON.parse(stdout) as { check: string }[]).map(({ check }) => check)).toEqual([
      CONFIGURATION,
      ...Object.keys(CHECKS),
      PUBLIC,
    ]);
    const wrong = await emissary(["doctor", "--config", path, "--public-url", "matrix.example.org"]);
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining("https://matrix.example.org")]);
  });

  test("is in the manual, with a section for every check, in order, and none besides", () => {
    const manual = readFileSync(new URL("../../../docs/reference/doctor.md", import.meta.url), "utf8");
    const sections = [...manual.matchAll(/^### (.*)$/gm)].map(([, title]) => title);
    expect(sections).toEqual([CONFIGURATION, ...Object.keys(CHECKS), PUBLIC]);
  });
});

describe("this machine", () => {
  test("tells the space on a disk", async () => {
    const { free, total } = await thisMachine.space(temporaryFolder());
    expect(free).toBeGreaterThanOrEqual(0);
    expect(total).toBeGreaterThan(free);
  });

  test("tells who holds a database, and holds it no longer than to find out", async () => {
    const database = join(temporaryFolder(), "emissary.db");
    expect(await thisMachine.holderOf(database)).toBeNull();
    expect(existsSync(`${database}.lock`)).toBe(false);

    const lock = takeInstanceLock(database, { command: "emissary run", since: 0 });
    expect(await thisMachine.holderOf(database)).toContain(`\`emissary run\`, process ${process.pid}`);
    lock.release();

    expect(await thisMachine.holderOf(database)).toBeNull();
    takeInstanceLock(database, { command: "emissary run", since: 0 }).release();
  });
});
