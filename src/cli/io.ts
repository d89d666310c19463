import { createInterface } from "node:readline";
import type { Random } from "../model/clock.ts";
import { systemRandom } from "../platform/clock.ts";
import type { Environment } from "../platform/config/files.ts";
import { escapeJson } from "./text.ts";
import { EmissaryError } from "../model/errors.ts";

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

export function jsonText(value: unknown): string {
  return escapeJson(JSON.stringify(value, null, 2));
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

/** The program's exit codes, for scripts. They are part of the manual: never change a number. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, unreachable: 4 } as const;
/** The exit codes for people, in `--help` and the manual. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done",
  failed: "failed",
  usage: "wrong usage",
  refused: "refused by policy",
  unreachable: "daemon not reachable",
};

/** Ends a command with another exit code than done, and a sentence for the operator. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly exitCode: number;

  constructor(exitCode: number, sentence: string) {
    super(sentence);
    this.exitCode = exitCode;
  }
}

export function wrongUsage(sentence: string): CommandFailed {
  return new CommandFailed(EXIT.usage, sentence);
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandFailed) return error.exitCode;
  return error instanceof EmissaryError && error.code === "refused-by-policy" ? EXIT.refused : EXIT.failed;
}

/** Distinguishes foreseen failures, and those that the system reports, from faults of the program. */
export function isForeseen(error: unknown): error is Error {
  if (error instanceof CommandFailed || error instanceof EmissaryError) return true;
  return error instanceof Error && "syscall" in error;
}
