import { EmissaryError, sentenceOf } from "../model/errors.ts";

/** A disk fault, and the error that the caller gets for it. */
export interface DiskFault {
  readonly cause: string;
  readonly error: EmissaryError;
}

/** The codes of the operating system and of SQLite for a failing disk, by prefix, and what they mean. */
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

/** Returns the cause as a clause: the meaning, then the original message. */
export function causeOf(error: unknown): string {
  const meaning = meaningOf(error);
  return meaning === null ? sentenceOf(error) : `${meaning} (${sentenceOf(error)})`;
}

function meaningOf(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return MEANINGS.find(([beginning]) => code.startsWith(beginning))?.[1] ?? null;
}

/**
 * Wraps a store so that a disk fault, which is no bug, reaches log and caller as a sentence without a stack trace. The
 * sentence does not name the database's path, because callers see it. A Proxy covers every property of the store. The store's own methods are wrapped once in front of it, because these
 * calls are on every hot path.
 * @param noticed called with every disk fault
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
  // The store itself is the receiver, because a Proxy has no access to its private fields.
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
  if (error instanceof EmissaryError || meaningOf(error) === null) throw error;
  const cause = causeOf(error);
  const fault = new EmissaryError(
    "internal",
    `Emissary cannot write its database (storage.sqlite): ${cause}. What could not be written is not kept; ` +
      "it can be tried again once the disk is writable and has room.",
    { cause: error },
  );
  noticed({ cause, error: fault });
  throw fault;
}
