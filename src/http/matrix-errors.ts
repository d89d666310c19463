import type { EmissaryError, ErrorCode } from "../model/errors.ts";
import { toldReason, toldSentence } from "./told.ts";
import type { JsonObject } from "../model/json.ts";

/** HTTP status and errcode of each error (spec, client-server API, "Standard error response"). */
export const MATRIX_ERRORS: Readonly<Record<ErrorCode, readonly [status: number, errcode: string]>> = {
  "bad-request": [400, "M_BAD_JSON"],
  "bad-parameter": [400, "M_INVALID_PARAM"],
  "not-json": [400, "M_NOT_JSON"],
  "missing-token": [401, "M_MISSING_TOKEN"],
  "unknown-token": [401, "M_UNKNOWN_TOKEN"],
  forbidden: [403, "M_FORBIDDEN"],
  "not-found": [404, "M_NOT_FOUND"],
  unrecognized: [404, "M_UNRECOGNIZED"],
  "method-not-allowed": [405, "M_UNRECOGNIZED"],
  "too-large": [413, "M_TOO_LARGE"],
  "bad-state": [400, "M_BAD_STATE"],
  "in-use": [409, "M_BAD_STATE"],
  "user-in-use": [400, "M_USER_IN_USE"],
  "not-in-namespace": [400, "M_EXCLUSIVE"],
  "refused-by-policy": [403, "M_FORBIDDEN"],
  "refused-by-homeserver": [403, "M_FORBIDDEN"],
  "room-encrypted": [403, "M_FORBIDDEN"],
  "no-lease": [403, "M_FORBIDDEN"],
  limited: [429, "M_LIMIT_EXCEEDED"],
  timeout: [504, "M_UNKNOWN"],
  "homeserver-unreachable": [502, "M_UNKNOWN"],
  "homeserver-error": [502, "M_UNKNOWN"],
  "not-ready": [503, "M_UNKNOWN"],
  "bad-config": [500, "M_UNKNOWN"],
  internal: [500, "M_UNKNOWN"],
};

/** Readers of a listener's answers: the operator and the operator's homeserver, or any caller. */
export type Audience = "operator" | "strangers";

/** Returns an error's body for a Matrix caller. `code` is our own, for tools that need more than the errcode. */
export function matrixErrorBody(error: EmissaryError, audience: Audience): JsonObject {
  const isOperator = audience === "operator";
  const reason = isOperator ? error.reason : toldReason(error);
  return {
    errcode: MATRIX_ERRORS[error.code][1],
    error: isOperator ? error.message : toldSentence(error),
    "org.matrix.msc1777.code": error.code,
    ...(reason === null ? {} : { "org.matrix.msc1777.reason": reason }),
    ...(error.retryAfter === null ? {} : { retry_after_ms: Math.ceil(error.retryAfter) }),
  };
}
