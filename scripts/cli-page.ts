/** The generated blocks of docs/reference/cli.md, one a command, each with what `--help` says. The prose around them is ours. */
import type { Argument, Command, Option } from "commander";
import { EXIT, EXIT_MEANINGS, processIo } from "../src/cli/io.ts";
import { buildProgram } from "../src/cli/program.ts";

const BLOCK = /<!-- generated: (.+?) -->[^]*?<!-- end -->/g;

/**
 * The page with its blocks made anew. A command without a block gets a section at the end, to be moved and explained by hand.
 * Throws for a block that stands for nothing, because its prose has to go too.
 */
export function cliPage(page: string, program: Command = buildProgram(processIo())): string {
  const missing = blocksOf(program);
  const blocks = new Map(missing);
  const renewed = page.replaceAll(BLOCK, (_, name: string) => {
    const block = blocks.get(name);
    if (block === undefined)
      throw new Error(`cli.md has a block "${name}", which the program has not: remove its section`);
    missing.delete(name);
    return marked(name, block);
  });
  const added = [...missing].map(([name, block]) => `\n## ${name}\n\n${marked(name, block)}\n`);
  return renewed + added.join("");
}

function marked(name: string, block: string): string {
  return `<!-- generated: ${name} -->\n\n${block}\n\n<!-- end -->`;
}

/** Every block by its name. */
function blocksOf(program: Command): Map<string, string> {
  const codes = Object.entries(EXIT_MEANINGS).map(([name, meaning]) => [`${EXIT[name as keyof typeof EXIT]}`, meaning]);
  return new Map([
    ["options", table(["option", "meaning"], optionRows(program, program.createHelp().visibleOptions(program)))],
    ["exit codes", table(["exit code", "meaning"], codes)],
    ...subcommands(program).map((command): [string, string] => [
      `${program.name()} ${command.name()}`,
      tables(command).join("\n\n"),
    ]),
  ]);
}

/** A command's table; for a group its sentence and the tables of its commands. */
function tables(command: Command): string[] {
  const inner = subcommands(command);
  if (inner.length > 0) return [sentence(command.description()), ...inner.flatMap(tables)];
  const help = command.createHelp();
  const args = help
    .visibleArguments(command)
    .map((argument: Argument) => [
      `\`${argument.required ? `<${argument.name()}>` : `[${argument.name()}]`}\``,
      help.argumentDescription(argument),
    ]);
  const options = help.visibleOptions(command).filter((option) => command.options.includes(option));
  return [
    table([`\`${help.commandUsage(command)}\``, command.description()], [...args, ...optionRows(command, options)]),
  ];
}

function optionRows(command: Command, options: readonly Option[]): string[][] {
  const help = command.createHelp();
  return options.map((option) => [`\`${help.optionTerm(option)}\``, help.optionDescription(option)]);
}

/** Without commander's own `help`, which stands in no list of commands. */
function subcommands(command: Command): Command[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.filter((inner) => command.commands.includes(inner));
}

function table(head: readonly string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
