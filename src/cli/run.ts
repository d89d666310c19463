import type { Command } from "commander";
import { load } from "../platform/config/load.ts";
import { configPath, adminClient } from "./admin-client.ts";
import { CommandFailed, type Io, EXIT } from "./io.ts";
import { resolve } from "node:path";
import { EmissaryError } from "../model/errors.ts";
import { systemClock } from "../platform/clock.ts";
import { neutral } from "./text.ts";

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

export function addBackup(program: Command, io: Io): void {
  program
    .command("backup")
    .description("write a copy of the database to a new file, also while the daemon runs")
    .argument("<file>", "the new file; the daemon writes it, where it runs")
    .action(async (file: string, _options: object, command: Command) => {
      // The daemon's current folder is another one.
      const path = resolve(file);
      const { bytes } = await byDaemon(path, command, io);
      io.out(`${neutral(path)}: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
    });
}

async function byDaemon(path: string, command: Command, io: Io): Promise<{ readonly bytes: number }> {
  try {
    return await adminClient(command, io).call("backup", { body: { path } });
  } catch (error) {
    if (!(error instanceof CommandFailed) || error.exitCode !== EXIT.unreachable) throw error;
    return byOurselves(path, command, io, error);
  }
}

/** Copies the file without a daemon. The lock proves that there is none, and keeps one from starting. */
async function byOurselves(
  path: string,
  command: Command,
  io: Io,
  unreachable: CommandFailed,
): Promise<{ readonly bytes: number }> {
  const { config } = load({ path: configPath(command), env: io.env });
  const { sqlite } = config.storage;
  // Imported here, so that other commands need not wait for SQLite.
  const { takeInstanceLock } = await import("../storage/instance-lock.ts");
  const { backupFile } = await import("../storage/backup.ts");
  const lock = (() => {
    try {
      return takeInstanceLock(sqlite, { command: "emissary backup", since: systemClock.now() });
    } catch (error) {
      if (!(error instanceof EmissaryError) || error.code !== "in-use") throw error;
      throw new CommandFailed(EXIT.unreachable, `${unreachable.message} ${error.message}`);
    }
  })();
  try {
    return await backupFile(sqlite, path, io.random);
  } finally {
    lock.release();
  }
}
