import { EmissaryError, sentenceOf } from "../model/errors.ts";

/** A fault of the disk, and the error that it becomes for who asked. */
export interface DiskFault {
  readonly cause: string;
  readonly error: EmissaryError;
}

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

type Method = (...args: unknown[]) => unknown;

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
 *
 * Behind it is a Proxy, so that nothing the store has can be missing; the store's own methods stand before that, made once, since
 * these calls are on every hot path.
 * @param noticed is told of every such fault
 */
export function tellingFaults<Store extends object>(
  store: Store,
  noticed: (fault: DiskFault) => void = () => {},
): Store {
  const fail = (error: unknown): never => tell(error, noticed);
  const telling = (method: Method): Method => {
    return (...args) => {
      try {
        const answer = method.apply(store, args);
        return answer instanceof Promise ? answer.catch(fail) : answer;
      } catch (error) {
        return fail(error);
      }
    };
  };
  // With the store itself as the receiver: private fields are its own, and not the Proxy's.
  const whole = new Proxy(store, {
    get: (target, key) => {
      const value = telling(() => Reflect.get(target, key, target))();
      return typeof value === "function" ? telling(value as Method) : value;
    },
    set: (target, key, value, receiver) => Reflect.set(target, key, value, receiver === outward ? target : receiver),
  });
  const outward = Object.create(whole) as Store;
  const own = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(store)));
  for (const [name, { value }] of own as [string, PropertyDescriptor][]) {
    if (name !== "constructor" && typeof value === "function") {
      Object.defineProperty(outward, name, { value: telling(value as Method), configurable: true, writable: true });
    }
  }
  return outward;
}

function tell(error: unknown, noticed: (fault: DiskFault) => void): never {
  const meaning = error instanceof EmissaryError ? null : meaningOf(error);
  if (meaning === null) throw error;
  const cause = `${meaning} (${sentenceOf(error)})`;
  const told = new EmissaryError(
    "internal",
    `Emissary cannot write its database (storage.sqlite): ${cause}. What could not be written is not kept; ` +
      "it can be tried again once the disk is writable and has room.",
    { cause: error },
  );
  noticed({ cause, error: told });
  throw told;
}
