import { Command, CommanderError } from "commander";
import { sentenceOf } from "../model/errors.ts";
import { programVersion } from "../platform/version.ts";
import { addAliases } from "./aliases.ts";
import { addAudit, addStatus } from "./status.ts";
import { addBackup, addRun } from "./run.ts";
import { addDoctor } from "./doctor.ts";
import { EXIT, EXIT_MEANINGS, exitCodeOf, isForeseen, type Io } from "./io.ts";

import { addPolicy } from "./policy.ts";
import { addRegister } from "./register.ts";
import { addMembers, addRooms } from "./rooms.ts";
import { addTenant } from "./tenant.ts";

/** Runs the command line (without the program's name) and returns the exit code. Never throws. */
export async function runProgram(args: readonly string[], io: Io): Promise<number> {
  try {
    await buildProgram(io).parseAsync(args, { from: "user" });
    return EXIT.done;
  } catch (error) {
    // Commander has printed the mistake, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const sentence = isForeseen(error) ? sentenceOf(error) : fault(error);
    if (sentence !== "") io.err(`emissary: ${sentence}`);
    return exitCodeOf(error);
  }
}

export function buildProgram(io: Io): Command {
  const program = new Command("emissary")
    .description("Gives a Matrix homeserver its pseudouser, which appservices and bots act through.")
    .version(programVersion(), "--version", "show the version")
    .helpOption("--help", "show help")
    .option("--config <file>", "the configuration", "emissary.yaml")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
      ...(io.width !== null && { getOutHelpWidth: () => io.width ?? 80 }),
    })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", HELP);
  for (const add of [
    addRegister,
    addRun,
    addStatus,
    addRooms,
    addMembers,
    addTenant,
    addAliases,
    addPolicy,
    addAudit,
    addBackup,
    addDoctor,
  ])
    add(program, io);
  return program;
}

const HELP = `
Exit codes: ${Object.entries(EXIT)
  .map(([name, code]) => `${code} ${EXIT_MEANINGS[name as keyof typeof EXIT]}`)
  .join(", ")}.`;

/** A fault of the program itself: its report needs the trace. */
function fault(error: unknown): string {
  return `a fault in Emissary, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
