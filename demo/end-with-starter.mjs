// @ts-check
/**
 * Loaded into `emissary run` beside the program (NODE_OPTIONS), so that it ends with the demo, as
 * homeservers/synapse/run_homeserver.py does for Synapse. The demo holds the other end of our stdin: when it is gone,
 * however it went (kill -9 too), the pipe closes, and Emissary stops: politely, and after ten seconds for certain.
 *
 * It is inside and not a process around Emissary, because such a process could be killed as well.
 */
const HARD_EXIT_AFTER_MS = 10_000;

const { stdin } = process;
stdin.on("error", () => undefined);
stdin.on("close", () => {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.kill(process.pid, "SIGKILL"), HARD_EXIT_AFTER_MS).unref();
});
stdin.resume();
// Waiting for the demo is no reason to go on after Emissary has finished.
stdin.unref();
