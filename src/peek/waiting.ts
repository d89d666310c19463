import { STILL_JOINING } from "../attendance/membership-waits.ts";
import { NO_SERVER } from "../attendance/attendance.ts";
import { EmissaryError } from "../model/errors.ts";
import type { ServerName } from "../model/ids.ts";

/** Whether the join is only slow: it continues, and its lease stays. */
export function isStillJoining(error: unknown): boolean {
  return error instanceof EmissaryError && error.reason === STILL_JOINING;
}

/** Adds the servers to the error. The caller named them or was shown them, and may name others. */
export function withRoutes(error: unknown, via: readonly ServerName[]): unknown {
  if (!(error instanceof EmissaryError) || error.reason !== NO_SERVER || via.length === 0) return error;
  const told = `None of the servers that were asked (${via.join(", ")}) lets this server into the room.`;
  return new EmissaryError(error.code, error.message, { reason: NO_SERVER, told, cause: error });
}

/** Returns null if the homeserver does not answer now. */
export async function orNull<Value>(asked: Promise<Value | null>): Promise<Value | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof EmissaryError) return null;
    throw error;
  }
}

/** Rejects if the signal aborts before the work is done. The work continues. @throws EmissaryError `timeout` */
export function before<Value>(limit: AbortSignal, work: Promise<Value>, via: readonly ServerName[]): Promise<Value> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(lateAnswer(via));
    work.then(resolve, reject);
    if (limit.aborted) late();
    else limit.addEventListener("abort", late, { once: true });
  });
}

function lateAnswer(via: readonly ServerName[]): EmissaryError {
  const sentence =
    via.length === 0
      ? "The homeserver has not told in time what room this is. Ask again."
      : `None of the servers that lead to this room (${via.join(", ")}) has told in time what it is. Ask again, or name others (via).`;
  return new EmissaryError("timeout", sentence, { reason: "silent-routes", told: sentence });
}
