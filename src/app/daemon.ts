import { App } from "./app.ts";
import { EmissaryError, sentenceOf } from "../model/errors.ts";
import { systemClock, systemRandom } from "../platform/clock.ts";
import type { Config } from "../platform/config/config.ts";
import { makeLog, type LeveledLogger } from "../platform/log.ts";

/**
 * Runs Emissary until a signal. The first SIGTERM or SIGINT finishes current work; a second ends the process at once.
 * SIGHUP reloads the configuration.
 * @param read reads the configuration again; throws EmissaryError if it has mistakes
 * @returns the exit code: 0 after a clean stop, 1 if it could not run (the log says why).
 */
export async function runDaemon(config: Config, warnings: readonly string[], read: () => Config): Promise<number> {
  const log = makeLog(config.log);
  for (const warning of warnings) log.warn("config.warning", { warning });

  const told = new Promise<void>((resolve) => {
    let signals = 0;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        signals += 1;
        if (signals > 1) process.exit(1);
        log.info("emissary.stopping", { signal });
        resolve();
      });
    }
  });

  let app: App;
  try {
    app = new App({ config, clock: systemClock, random: systemRandom, log });
  } catch (error) {
    log.error("emissary.cannot-run", { error });
    return 1;
  }
  process.on("SIGHUP", () => reload(app, log, read));
  let exitCode = 0;
  try {
    await app.start();
    await Promise.race([told, app.ready]);
    await told;
  } catch (error) {
    if (error instanceof EmissaryError) log.error("emissary.cannot-run", { cause: sentenceOf(error) });
    else log.error("emissary.cannot-run", { error });
    exitCode = 1;
  }
  await app.stop();
  return exitCode;
}

/** Reloads the configuration. One with mistakes changes nothing: the daemon keeps the one it has. */
function reload(app: App, log: LeveledLogger, read: () => Config): void {
  try {
    const config = read();
    const { applied, needRestart } = app.reload(config);
    log.setLevel(config.log.level);
    log.info("config.reloaded", { applied });
    if (needRestart.length > 0) log.warn("config.needs-restart", { keys: needRestart });
  } catch (error) {
    log.error("config.not-reloaded", { error });
  }
}
