import { EmissaryError, sentenceOf } from "../../model/errors.ts";

/** What the operating system or SQLite says of a disk that does not do its work, and what that means; by the code's beginning. */
const MEANINGS: readonly (readonly [code: string, meaning: string])[] = [
  ["EROFS", "the disk is mounted for reading only"],
  ["EACCES", "this user may not write there"],
  ["EPERM", "this user may not write there"],
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "this user's share of the disk is full"],
  ["SQLITE_FULL", "the disk is full"],
  ["SQLITE_READONLY", "the disk is mounted for reading only, or the file is another user's"],
  ["SQLITE_IOERR", "the disk fails, is gone, or a limit on this user or on the size of files is reached"],
  ["SQLITE_CANTOPEN", "a file beside it cannot be made"],
];

/** The cause as a clause, its meaning before the words of whoever noticed it. */
export function causeOf(error: unknown): string {
  const meaning = meaningOf(error);
  return meaning === null ? sentenceOf(error) : `${meaning} (${sentenceOf(error)})`;
}

function meaningOf(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return MEANINGS.find(([beginning]) => code.startsWith(beginning))?.[1] ?? null;
}

/**
 * The same store; only that a fault of the disk, which is nothing to be mended in the program, reaches log and caller as a
 * sentence and without a trace. The database is not named by its path: callers are told this, too.
 */
export function tellingFaults<Store extends object>(store: Store): Store {
  // Made once, and not a Proxy: these calls are on every hot path.
  const outward: Record<string, unknown> = {};
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(store)).filter((name) => name !== "constructor");
  for (const name of methods) {
    const method = (store as Record<string, (...args: unknown[]) => unknown>)[name];
    outward[name] = (...args: unknown[]): unknown => {
      try {
        const answer = method?.apply(store, args);
        return answer instanceof Promise ? answer.catch(tell) : answer;
      } catch (error) {
        return tell(error);
      }
    };
  }
  return outward as Store;
}

function tell(error: unknown): never {
  const meaning = error instanceof EmissaryError ? null : meaningOf(error);
  if (meaning === null) throw error;
  throw new EmissaryError(
    "internal",
    `Emissary cannot write its database (storage.sqlite): ${meaning} (${sentenceOf(error)}). Nothing of this was kept; ` +
      "it can be tried again once the disk is writable and has room.",
    { cause: error },
  );
}
