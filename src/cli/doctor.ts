import type { Command } from "commander";
import { configPath } from "./admin-client.ts";
import { CommandFailed, EXIT } from "./exit.ts";
import { outJson, type Io } from "./io.ts";

export function addDoctor(program: Command, io: Io): void {
  program
    .command("doctor")
    .description("find by trying what keeps Emissary from working, and say what to do")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }, command: Command) => {
      // The checks bring the homeserver's client with them: other commands do not wait for it.
      const { examine } = await import("./doctor/examine.ts");
      const { thisMachine } = await import("./doctor/machine.ts");
      const { report, summary } = await import("./doctor/report.ts");
      const findings = await examine({ path: configPath(command), env: io.env }, thisMachine);
      if (options.json) outJson(io, findings);
      else {
        io.out(report(findings));
        io.err(`${summary(findings)}.`);
      }
      // What is wrong has been said.
      if (findings.some(({ level }) => level === "failure")) throw new CommandFailed(EXIT.failed, "");
    });
}
