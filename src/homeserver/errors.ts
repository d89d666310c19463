import { EmissaryError } from "../model/errors.ts";
import type { Answer } from "./client.ts";

/** Returns whether a retry can help: after 5xx, rate limits, 408 and 425, which ask for it; not after other 4xx. */
export function isWorthRetrying(answer: Answer): boolean {
  const isPassing = answer.status >= 500 || [408, 425, 429].includes(answer.status);
  return isPassing || answer.errcode === "M_LIMIT_EXCEEDED";
}

/** Returns the error for an unexpected answer. `doing` completes "The homeserver refuses to …". */
export function failureOf(answer: Answer, doing: string): EmissaryError {
  const word = `${answer.errcode ?? `status ${answer.status}`}: ${answer.error ?? "no reason given"}`;
  if (answer.status === 401 || answer.errcode === "M_UNKNOWN_TOKEN") {
    return new EmissaryError(
      "homeserver-error",
      `The homeserver does not know our token (${word}): it has not loaded registration.yaml, or another one. Load it and restart it.`,
    );
  }
  if (answer.status === 429) {
    return new EmissaryError("limited", `The homeserver limits how often it may be asked to ${doing} (${word}).`, {
      ...(answer.retryAfter === null ? {} : { retryAfter: answer.retryAfter }),
      told: "The homeserver limits how often it may be asked; try again later.",
    });
  }
  return new EmissaryError(
    answer.status >= 500 ? "homeserver-error" : "refused-by-homeserver",
    `The homeserver refuses to ${doing} (${word}).`,
    { reason: answer.errcode ?? String(answer.status) },
  );
}

/** Turns the timeout of a request to another server into a `timeout` error with this sentence. */
export function silenceOf(error: unknown, sentence: string): unknown {
  const cause: unknown = error instanceof EmissaryError ? error.cause : null;
  const isSilence = cause instanceof Error && "code" in cause && cause.code === "UND_ERR_HEADERS_TIMEOUT";
  return isSilence ? new EmissaryError("timeout", sentence, { told: sentence, cause: error }) : error;
}
