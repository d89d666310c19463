import { createInterface } from "node:readline";
import type { Random } from "../model/clock.ts";
import { systemRandom } from "../platform/clock.ts";
import type { Environment } from "../platform/config/secrets.ts";
import { CommandFailed, EXIT } from "./exit.ts";
import { escapeJson } from "./text.ts";

export type Ask = (question: string) => Promise<string>;

/** The world around a command. Passed in, so that a test reads what an operator would see. */
export interface Io {
  /** Writes a line, or several, to standard output. Results go here and nothing else does. */
  out(text: string): void;
  /** Writes a line to standard error: everything that is said about the result. */
  err(text: string): void;
  /** The width of the terminal in columns, or null where the output goes to a file or a pipe and is never shortened. */
  readonly width: number | null;
  /** Lets `talk` ask the operator questions, or null where nobody is there to answer. */
  readonly converse: (<T>(talk: (ask: Ask) => Promise<T>) => Promise<T>) | null;
  readonly env: Environment;
  readonly random: Random;
}

/** The io of this process. Nobody else reads the environment. */
export function processIo(): Io {
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    width: process.stdout.isTTY ? process.stdout.columns : null,
    converse: process.stdin.isTTY && process.stderr.isTTY ? converse : null,
    env: process.env,
    random: systemRandom,
  };
}

/** Writes a result for programs. */
export function outJson(io: Io, value: unknown): void {
  io.out(escapeJson(JSON.stringify(value, null, 2)));
}

/** Questions go to standard error, so that the output stays clean for a pipe. */
async function converse<T>(talk: (ask: Ask) => Promise<T>): Promise<T> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // The iterator keeps what was typed ahead; an interface for each question would lose it.
  const typed = lines[Symbol.asyncIterator]();
  try {
    return await talk(async (question) => {
      lines.setPrompt(question);
      lines.prompt();
      const line = await typed.next();
      // Ctrl-C and Ctrl-D end the input.
      if (line.done === true) throw new CommandFailed(EXIT.failed, "Stopped at a question: nothing was written.");
      return line.value;
    });
  } finally {
    lines.close();
  }
}
