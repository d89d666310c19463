import type { EmissaryError, ErrorCode } from "../model/errors.ts";
import { isVerdictCode, type VerdictCode } from "../model/verdict.ts";

/**
 * Sentences about verdicts for strangers: users, tenants, other servers. The verdict's own reason may quote the
 * operator's notes, name a list, a limit or another user, or reveal usage.
 */
export const TOLD_VERDICTS: Readonly<Record<VerdictCode, string>> = {
  allowed: "Nothing is against it.",
  denied: "The operator of this server does not allow this.",
  "not-allowed":
    "None of your grants covers this room, or its alias points elsewhere than when it was granted. The operator can allow it (emissary tenant allow).",
  listed: "The operator of this server does not allow this.",
  "server-acl": "The room keeps this server out.",
  "room-version": "Rooms of this version are not joined by this server.",
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
  "join-rule": "The room is not public. It takes an invite, or a grant that names it.",
  "budget-room": "This room was joined too often lately; try again later.",
  "budget-user": "You have had as many rooms joined as one user may for now; try again later.",
  "budget-tenant": "You have had as many rooms joined as one tenant may for now; try again later.",
  "budget-server": "This room cannot be joined for now; try again later.",
  "budget-invites": "This room cannot be joined for now; try again later.",
  "budget-all": "No more rooms can be joined for now; try again later.",
};

/** Other reasons for not being in a room, by code. */
const TOLD_ENDS: Readonly<Record<string, string>> = {
  kicked: "Somebody in the room put the pseudouser out.",
  banned: "Somebody in the room banned the pseudouser.",
  withdrawn: "Somebody at this server took the pseudouser out of the room.",
  released: "The lease in this room was given back.",
  expired: "The lease in this room is over.",
  upgraded: "The room was replaced by another.",
  "tenant-removed": "The tenant was removed.",
  "no-server": "None of the servers that were asked lets this server into the room.",
  "still-joining": "Joining this room takes long, as it does where a room is large. It goes on: ask again in a minute.",
  "not-listed": "This room is not one that this server lets its users look into.",
  "state-cap": "The state of this room is too large for a device to be told.",
};

/** Errors with a message for the operator only: it may contain addresses, configuration keys or quoted text. */
const TOLD_FAILURES: Readonly<Partial<Record<ErrorCode, string>>> = {
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

/** Returns an error's sentence for strangers. It is the message if that was written for the caller. */
export function toldSentence({ code, reason, told, message }: EmissaryError): string {
  if (told !== null) return told;
  if (reason !== null && isVerdictCode(reason)) return TOLD_VERDICTS[reason];
  const general = TOLD_FAILURES[code];
  if (general === undefined) return message;
  const known = reason === null ? undefined : TOLD_ENDS[reason];
  if (known !== undefined) return known;
  const isErrcode = code === "refused-by-homeserver" && reason !== null && CODE.test(reason);
  return isErrcode ? `The homeserver refuses this (${reason}).` : general;
}

/** Returns the reason for strangers if it is a code, else null. */
export function toldReason({ reason }: EmissaryError): string | null {
  return reason !== null && CODE.test(reason) ? reason : null;
}
