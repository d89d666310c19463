import { EmissaryError } from "../model/errors.ts";

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
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

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
