import type { EmissaryError, ErrorCode } from "../model/errors.ts";
import type { JsonObject } from "../model/json.ts";
import { isVerdictCode, type VerdictCode } from "../model/verdict.ts";

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
  const reason = isOperator ? error.reason : publicReason(error);
  return {
    errcode: MATRIX_ERRORS[error.code][1],
    error: isOperator ? error.message : publicSentence(error),
    "org.matrix.msc1777.code": error.code,
    ...(reason === null ? {} : { "org.matrix.msc1777.reason": reason }),
    ...(error.retryAfter === null ? {} : { retry_after_ms: Math.ceil(error.retryAfter) }),
  };
}

/** For strangers. The verdict's own reason may quote the operator's notes, name a list or user, or reveal usage. */
export const PUBLIC_VERDICTS: Readonly<Record<VerdictCode, string>> = {
  allowed: "Nothing is against it.",
  denied: "The operator of this server does not allow this.",
  "not-allowed":
    "None of your grants covers this room, or its alias points elsewhere than when it was granted. The operator can allow it (emissary tenant allow).",
  listed: "The operator of this server does not allow this.",
  "server-acl": "The room keeps this server out.",
  "room-version": "This server does not join rooms of this version.",
  flooded: "This room is kept away from for a while.",
  "too-complex": "This room is kept away from for a while.",
  "put-out": "This room is kept away from for a while.",
  "upgrade-chain": "This room was upgraded too often to be followed.",
  "no-predecessor": "This room does not replace the one that names it as its replacement.",
  "room-cap": "This server takes part in no more rooms now.",
  "room-share": "You have as many rooms as one tenant may.",
  "busy-share": "Too many of your rooms are being joined now; try again soon.",
  busy: "Too many rooms are being joined now; try again soon.",
  "not-visible": "There is no such room, it is private, or none of the servers named (via) is in it.",
  "not-peekable": "The room's history is not world-readable, so nobody may look into it from outside.",
  "member-cap": "The room has more members than this server enters.",
  "join-rule": "The room is not public. You need an invite, or a grant that names the room.",
  "budget-room": "This room has been joined too often lately; try again later.",
  "budget-user": "You have used up your share of joins for now; try again later.",
  "budget-tenant": "You have used up your share of joins for now; try again later.",
  "budget-server": "This room cannot be joined for now; try again later.",
  "budget-invites": "This room cannot be joined for now; try again later.",
  "budget-all": "No more rooms can be joined for now; try again later.",
};

/** Other reasons for not being in a room, by code. */
const PUBLIC_ENDS: Readonly<Record<string, string>> = {
  kicked: "Somebody in the room put the pseudouser out.",
  banned: "Somebody in the room banned the pseudouser.",
  withdrawn: "Somebody at this server took the pseudouser out of the room.",
  released: "The lease in this room was given back.",
  expired: "The lease in this room is over.",
  upgraded: "The room was replaced by another.",
  "tenant-removed": "The tenant was removed.",
  "no-server": "None of the servers that were asked lets this server into the room.",
  "still-joining": "Joining this room takes long, as large rooms do. The join continues: ask again in a minute.",
  "not-listed": "This server does not let its users look into this room.",
  "state-cap": "The state of this room is too large to send to a device.",
};

/** Errors with a message for the operator only: it may contain addresses, configuration keys or quoted text. */
const PUBLIC_FAILURES: Readonly<Partial<Record<ErrorCode, string>>> = {
  "refused-by-policy": "The operator of this server does not allow this.",
  "refused-by-homeserver": "The homeserver refuses this.",
  timeout: "The room is not open yet; this goes on. Ask again.",
  "homeserver-unreachable": "The homeserver gave no answer; try again later.",
  "homeserver-error": "The homeserver failed at this; try again later.",
  "not-ready": "Emissary is starting or stopping; try again soon.",
  "bad-config": "Emissary failed at this; try again later.",
  internal: "Emissary failed at this; try again later.",
};

/** A code of the specification or one of ours. Anything else in a reason is free text. */
const CODE = /^(?:[A-Z][A-Z0-9_.]{0,63}|[a-z][a-z0-9-]{0,63}|\d{3})$/;

export function publicSentence({ code, reason, told, message }: EmissaryError): string {
  if (told !== null) return told;
  if (reason !== null && isVerdictCode(reason)) return PUBLIC_VERDICTS[reason];
  const general = PUBLIC_FAILURES[code];
  if (general === undefined) return message;
  const known = reason === null ? undefined : PUBLIC_ENDS[reason];
  if (known !== undefined) return known;
  const isErrcode = code === "refused-by-homeserver" && reason !== null && CODE.test(reason);
  return isErrcode ? `The homeserver refuses this (${reason}).` : general;
}

function publicReason({ reason }: EmissaryError): string | null {
  return reason !== null && CODE.test(reason) ? reason : null;
}
