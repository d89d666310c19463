/** Codes of errors. The HTTP edge maps them to errcodes (src/http/matrix-errors.ts), the CLI to exit codes. */
export const ERROR_CODES = [
  "bad-request",
  "bad-parameter",
  "not-json",
  "missing-token",
  "unknown-token",
  "forbidden",
  "not-found",
  "unrecognized",
  "method-not-allowed",
  "too-large",
  "bad-state",
  "in-use",
  "user-in-use",
  "not-in-namespace",
  "refused-by-policy",
  "refused-by-homeserver",
  "room-encrypted",
  "no-lease",
  "limited",
  "timeout",
  "homeserver-unreachable",
  "homeserver-error",
  "not-ready",
  "bad-config",
  "internal",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** Why policy or the homeserver refused, for callers that act on it. */
  readonly reason?: string;
  /** Milliseconds after which a retry can help. */
  readonly retryAfter?: number;
  /** Replaces the message for strangers if that is for the operator (see matrix-errors.ts). */
  readonly told?: string;
  readonly cause?: unknown;
}

/** An error with a sentence that names the thing, the cause and what to do. */
export class EmissaryError extends Error {
  override readonly name = "EmissaryError";
  readonly code: ErrorCode;
  readonly reason: string | null;
  readonly retryAfter: number | null;
  readonly told: string | null;

  constructor(code: ErrorCode, sentence: string, details: ErrorDetails = {}) {
    super(sentence, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason ?? null;
    this.retryAfter = details.retryAfter ?? null;
    this.told = details.told ?? null;
  }
}

/** Removes a sentence's full stop, to quote it inside one of ours. */
export function clauseOf(sentence: string): string {
  return sentence.trim().replace(/[.!]+$/, "");
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
