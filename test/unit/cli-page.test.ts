import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { cliPage } from "../../scripts/cli-page.ts";
import { processIo } from "../../src/cli/io.ts";
import { buildProgram } from "../../src/cli/program.ts";

const page = readFileSync(new URL("../../docs/reference/cli.md", import.meta.url), "utf8");

describe("the page of the commands", () => {
  test("is what the program generates (npm run sample)", () => expect(cliPage(page)).toBe(page));

  test("speaks of no option that the program has not", () => {
    const generated = cliPage("");
    const options = new Set(generated.match(/--[a-z][a-z-]*/g));
    expect(page.match(/--[a-z][a-z-]*/g)?.filter((option) => !options.has(option))).toEqual([]);
  });

  test("tells of a new command of a group, in the group's block", () => {
    const program = buildProgram(processIo());
    const group = program.commands.find((command) => command.name() === "tenant")!;
    group
      .command("dance")
      .description("waltz | tango")
      .argument("<id>", "whom")
      .option("--for <time>", "how long", "1h");
    const block = /<!-- generated: emissary tenant -->[^]*?<!-- end -->/.exec(cliPage(page, program))?.[0];
    expect(block).toContain(
      [
        "| `emissary tenant dance [options] <id>` | waltz \\| tango |",
        "|---|---|",
        "| `<id>` | whom |",
        '| `--for <time>` | how long (default: "1h") |',
      ].join("\n"),
    );
  });

  test("gets a section for a new command, and wants the one of a former command removed", () => {
    const program = buildProgram(processIo());
    program.command("dance").description("dance");
    const longer = cliPage(page, program);
    expect(longer).toBe(
      `${cliPage(page)}\n## emissary dance\n\n<!-- generated: emissary dance -->\n\n` +
        "| `emissary dance [options]` | dance |\n|---|---|\n\n<!-- end -->\n",
    );
    expect(() => cliPage(longer)).toThrow('a block "emissary dance"');
  });
});
