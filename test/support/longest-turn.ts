/**
 * Loaded before a program (`--import`): with each SIGUSR2 it writes into a file how many milliseconds of the processor the longest turn of
 * the event loop took since the last one. Time in which the machine did other things does not count.
 */
import { writeFileSync } from "node:fs";

const LOOK_MS = 2;
let longest = 0;
let before = process.threadCpuUsage();
setInterval(() => {
  const { user, system } = process.threadCpuUsage(before);
  before = process.threadCpuUsage();
  longest = Math.max(longest, (user + system) / 1_000);
}, LOOK_MS).unref();

const file = process.env["EMISSARY_TEST_LONGEST_TURN"];
if (file !== undefined) {
  process.on("SIGUSR2", () => {
    writeFileSync(file, String(longest));
    longest = 0;
  });
}
