import { createInterface } from "node:readline";
import type { Random } from "../model/clock.ts";
import { systemRandom } from "../platform/clock.ts";
import type { Environment } from "../platform/config/secrets.ts";
import { CommandFailed, EXIT } from "./exit.ts";
import { escapeJson } from "./text.ts";

export type Ask = (question: string) => Promise<string>;

/** A command's environment. Passed in, so that tests see what an operator would see. */
export interface Io {
  /** Writes one or more lines to standard output. Only results go here. */
  out(text: string): void;
  /** Writes a line to standard error: everything about the result. */
  err(text: string): void;
  /** The terminal's width in columns; null for a file or a pipe, whose output is never shortened. */
  readonly width: number | null;
  /** Lets `talk` ask the operator questions; null if nobody can answer. */
  readonly converse: (<T>(talk: (ask: Ask) => Promise<T>) => Promise<T>) | null;
  readonly env: Environment;
  readonly random: Random;
}

/** Returns this process's io. Nothing else reads the environment. */
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

export function outJson(io: Io, value: unknown): void {
  io.out(escapeJson(JSON.stringify(value, null, 2)));
}

/** Asks on standard error, so that a pipe gets only the output. */
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
