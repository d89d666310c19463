import "./memory.ts";
import { processIo } from "./cli/io.ts";
import { runProgram } from "./cli/program.ts";

// A reader such as `head` closes the pipe when it has seen enough: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = await runProgram(process.argv.slice(2), processIo());
