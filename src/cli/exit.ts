import { EmissaryError } from "../model/errors.ts";

/** What the program's exit code tells a script. Part of the manual: never change a number. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, unreachable: 4 } as const;
/** The same for people: `--help` and the manual say so. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done",
  failed: "failed",
  usage: "wrong usage",
  refused: "refused by policy",
  unreachable: "daemon not reachable",
};
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command that ends in another way than done, with the sentence for the operator. */
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

/** Tells a failure that was foreseen, or that the system reports, from a fault of the program itself. */
export function isForeseen(error: unknown): error is Error {
  if (error instanceof CommandFailed || error instanceof EmissaryError) return true;
  return error instanceof Error && "syscall" in error;
}
