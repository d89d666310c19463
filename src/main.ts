import "./memory.ts";
import { processIo } from "./cli/io.ts";
import { runProgram } from "./cli/program.ts";

// A reader that has seen enough, such as `head`, closes the pipe: that is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = await runProgram(process.argv.slice(2), processIo());
