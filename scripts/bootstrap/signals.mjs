// @ts-check
/**
 * Being asked to stop, once. A Ctrl-C reaches every process of the terminal's group, and npm and our own runner pass
 * it on besides, so one key press arrives two or three times within milliseconds. A program that takes the second
 * signal as impatience must not take these for it.
 *
 * A starter that was killed cannot pass anything on; then we would go on with nobody left to stop us. So its end is a
 * request too. That holds for npm and for our runner only: a shell may well end before what it started in the background.
 */
import { constants } from "node:os";

const SAME_REQUEST_MS = 1_000;
const STARTER_POLL_MS = 1_000;
const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/**
 * Calls `listener` for each request to stop, with the number of the request (1 for the first).
 *
 * @param {(signal: "SIGINT" | "SIGTERM" | "SIGHUP", request: number) => void} listener
 * @returns {() => void} stops listening
 */
export function onStopRequest(listener) {
  let requests = 0;
  let lastAt = -Infinity;
  const receive = (/** @type {"SIGINT" | "SIGTERM" | "SIGHUP"} */ signal) => {
    const now = performance.now();
    const isSameRequest = now - lastAt < SAME_REQUEST_MS;
    if (isSameRequest) return;
    lastAt = now;
    requests += 1;
    listener(signal, requests);
  };
  for (const signal of SIGNALS) process.on(signal, receive);
  const starter = hasStarter() ? process.ppid : undefined;
  const poll = setInterval(() => {
    if (starter === undefined || process.ppid === starter) return;
    clearInterval(poll);
    receive("SIGHUP");
  }, STARTER_POLL_MS);
  poll.unref();
  return () => {
    clearInterval(poll);
    for (const signal of SIGNALS) process.off(signal, receive);
  };
}

function hasStarter() {
  return process.env["npm_lifecycle_event"] !== undefined || process.env["EMISSARY_RUNNER_PID"] === `${process.ppid}`;
}

/** How shells report a death by signal. @param {NodeJS.Signals} signal */
export function exitCodeOfSignal(signal) {
  return 128 + (constants.signals[signal] ?? 1);
}
