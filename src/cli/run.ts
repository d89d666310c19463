import type { Command } from "commander";
import { load } from "../platform/config/load.ts";
import { configPath } from "./admin-client.ts";
import { CommandFailed } from "./exit.ts";
import type { Io } from "./io.ts";

export function addRun(program: Command, io: Io): void {
  program
    .command("run")
    .description("run the daemon until it is told to stop")
    .action(async (_options: object, command: Command) => {
      const read = () => load({ path: configPath(command), env: io.env });
      const { config, warnings } = read();
      // Imported here, since the daemon is most of the program: other commands do not wait for it.
      const { runDaemon } = await import("../app/daemon.ts");
      const exitCode = await runDaemon(config, warnings, () => read().config);
      // The daemon's log has the cause.
      if (exitCode !== 0) throw new CommandFailed(exitCode, "");
    });
}
