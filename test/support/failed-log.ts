import { afterEach } from "vitest";
import { running } from "./emissary.ts";

/** Lines. */
const NEWEST = 80;

// What a test that failed once, on a machine that nobody can look at any more, has to be understood by.
afterEach(({ task }) => {
  if (task.result?.state !== "fail") return;
  for (const emissary of running) {
    const lines = emissary.log.trimEnd().split("\n").slice(-NEWEST);
    process.stderr.write(`The log of Emissary when "${task.name}" failed:\n${lines.join("\n")}\n`);
  }
});
