import { InvalidArgumentError, type Command } from "commander";
import { parseHttpUrl } from "../platform/config/values.ts";
import { configPath } from "./admin-client.ts";
import { CommandFailed, EXIT, jsonText, type Io } from "./io.ts";

export function addDoctor(program: Command, io: Io): void {
  program
    .command("doctor")
    .description("find by trying what keeps Emissary from working, and say what to do")
    .option(
      "--public-url <url>",
      "also ask at the address that clients use what the reverse proxy sends to the gateway",
      publicUrl,
    )
    .option("--json", "print JSON")
    .action(async (options: { json?: true; publicUrl?: string }, command: Command) => {
      // Imported here, since the checks need the homeserver's client: other commands do not wait for it.
      const { examine } = await import("./doctor/examine.ts");
      const { thisMachine } = await import("./doctor/context.ts");
      const { report, summary } = await import("./doctor/examine.ts");
      const source = { path: configPath(command), env: io.env };
      const findings = await examine(source, thisMachine, options.publicUrl ?? null);
      if (options.json) io.out(jsonText(findings));
      else {
        io.out(report(findings));
        io.err(`${summary(findings)}.`);
      }
      // The report has named the failure.
      if (findings.some(({ level }) => level === "failure")) throw new CommandFailed(EXIT.failed, "");
    });
}

function publicUrl(given: string): string {
  const url = parseHttpUrl(given);
  if (url === null) throw new InvalidArgumentError("Expected an address such as https://matrix.example.org.");
  return url;
}
