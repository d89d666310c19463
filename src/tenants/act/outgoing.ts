/**
 * Checks and rewrites what a tenant sends. All tenants send as one user, and homeservers and clients let a user edit,
 * redact, or otherwise change its own events. So an event may refer to others only in ways known to be harmless.
 */
import { EmissaryError } from "../../model/errors.ts";
import { isEventId, type UserId } from "../../model/ids.ts";
import { isDeeperThan, isJsonObject, only, type JsonObject } from "../../model/json.ts";
import { revisionOf } from "../../model/json-text.ts";
import { MESSAGE_PROFILE } from "../../model/message-profile.ts";
import { toWire, type Costume } from "../../model/persona.ts";
import { POWER_LEVELS } from "../../model/power-levels.ts";
import type { Tenant } from "../../model/tenant.ts";

/** How an event is made. The caller checks a `membership`. A new room has its `creation` event and `first-state`. */
export type Way = "send" | "redact" | "state" | "membership" | "creation" | "first-state";

/** An event that another event refers to. */
export interface Target {
  /** As the content gives it; may not be an event ID. */
  readonly eventId: string;
  /** The required owner: the tenant, or anyone but another tenant. `redactable`: the latter, if its action allows. */
  readonly mustBe: "own" | "not-anothers" | "redactable";
  /** What would happen to it; follows “cannot be”. */
  readonly doing: string;
}

export interface Outgoing {
  readonly content: JsonObject;
  /** Events to look up at the homeserver before sending. */
  readonly targets: readonly Target[];
}

export const REDACTION = "m.room.redaction";

/**
 * Types that no tenant sends. Memberships have calls of their own. `m.room.create` says whose the room is. An invite
 * of an e-mail address makes servers call any address that it names, and lets people in without an invite.
 */
const NEVER: ReadonlySet<string> = new Set(["m.room.member", "m.room.create", "m.room.third_party_invite"]);

/**
 * Messages, which are not state. Homeservers accept them as state all the same: a redaction then redacts (Synapse:
 * `store_redaction` checks the type only), and a text bypasses the check that keeps texts out of encrypted rooms.
 */
const MESSAGES: ReadonlySet<string> = new Set([
  REDACTION,
  "m.room.message",
  "m.room.encrypted",
  "m.sticker",
  "m.reaction",
]);

const NEW_CONTENT = "m.new_content";
const RELATION = "m.relates_to";
/** A list of relations (MSC3051). */
const RELATIONS = "m.relations";

const REPLACE = "m.replace";
/** These leave the event that they name unchanged, whoever sent it: a reaction, an answer in a thread. */
const HARMLESS: ReadonlySet<string> = new Set(["m.annotation", "m.thread"]);
/** A vote may name anyone's poll. So does the end of a poll, which clients accept from the poll's sender. */
const REFERENCE = "m.reference";
const VOTES: ReadonlySet<string> = new Set(["m.poll.response", "org.matrix.msc3381.poll.response"]);

/** The parts of a content that Emissary's decisions depend on. */
const JUDGED: ReadonlySet<string> = new Set([
  ...[RELATION, RELATIONS, MESSAGE_PROFILE, "m.per_message_profile"],
  ...["msgtype", "body", "filename", "format", "formatted_body", "redacts"],
]);

/** Each relation costs a request to the homeserver. */
const MAX_RELATIONS = 4;
/** Deeper content cannot be serialized safely, and no event is that deep. */
const MAX_NESTING = 500;

/** Returns how a tenant's user appears without a profile. */
export function costumeOf(
  { tenant, user }: { readonly tenant: Tenant; readonly user: UserId },
  type: string,
  isPersona: Costume["isPersona"],
): Costume {
  const profile = { displayname: null, avatarUrl: null };
  return { type, tenant: tenant.id, user, isSender: user === tenant.sender, isPersona, profile, fallback: false };
}

/**
 * Returns the content to send for a tenant's user, with our marks only, and what must hold for events that it names.
 * @throws EmissaryError `forbidden` if no tenant may send this in this way, `bad-request` if it cannot be read
 */
export function outgoing(way: Way, content: JsonObject, costume: Costume): Outgoing {
  const { type } = costume;
  if (isDeeperThan(MAX_NESTING, content)) {
    throw new EmissaryError("bad-request", `The content is nested more than ${MAX_NESTING} deep.`);
  }
  refuseType(way, type);
  if (type === REDACTION) return redaction(way, content, costume);
  const isAll = type === POWER_LEVELS || way === "creation" || way === "first-state";
  const sent = revisionOf(content, toWire(content, costume), isAll ? "all" : JUDGED);
  return { content: sent, targets: targetsIn(way, type, content) };
}

function refuseType(way: Way, type: string): void {
  if (way === "creation" || way === "membership") return;
  if (type === "m.room.member") throw noMembership();
  if (NEVER.has(type)) throw new EmissaryError("forbidden", `Tenants cannot send ${type}.`);
  if (way !== "send" && way !== "redact" && MESSAGES.has(type)) {
    throw new EmissaryError("forbidden", `${type} is not state: send it as a message.`);
  }
}

export function noMembership(): EmissaryError {
  return new EmissaryError(
    "forbidden",
    "As state, a tenant can set memberships of its own users, and invite, remove or ban others. Others join and knock themselves.",
  );
}

/**
 * Keeps only the reason and, in a sent event, `redacts`. Other keys could redact more: Synapse's
 * `org.matrix.msc3912.with_relations` redacts all related events that the pseudouser may redact.
 */
function redaction(way: Way, content: JsonObject, costume: Costume): Outgoing {
  const kept = way === "redact" ? ["reason"] : ["redacts", "reason"];
  const sent = revisionOf(content, toWire(only(content, ...kept), costume), "all");
  if (way !== "send") return { content: sent, targets: [] };
  const redacts = content["redacts"];
  if (typeof redacts !== "string" || !isEventId(redacts)) {
    throw new EmissaryError("bad-request", `${JSON.stringify(redacts)} is not the ID of an event to redact.`);
  }
  return { content: sent, targets: [redactedTarget(redacts)] };
}

/** Returns what must hold for an event to be redacted. */
export function redactedTarget(eventId: string): Target {
  return { eventId, mustBe: "redactable", doing: "redacted" };
}

function targetsIn(way: Way, type: string, content: JsonObject): readonly Target[] {
  const edited = content[NEW_CONTENT];
  const relations = [...relationsIn(content), ...(isJsonObject(edited) ? relationsIn(edited) : [])];
  if (relations.length > 0 && (way === "creation" || way === "first-state")) {
    throw new EmissaryError("forbidden", "A room that does not exist yet has no event to relate to.");
  }
  if (relations.length > MAX_RELATIONS) {
    throw new EmissaryError("bad-request", `An event relates to at most ${MAX_RELATIONS} others.`);
  }
  return relations.flatMap(({ relType, eventId }): Target[] => {
    if (HARMLESS.has(relType) || (relType === REFERENCE && VOTES.has(type))) return [];
    if (relType !== REPLACE)
      return [{ eventId, mustBe: "not-anothers", doing: `named as the ${relType} of a ${type}` }];
    if (way === "send") return [{ eventId, mustBe: "own", doing: "edited" }];
    throw new EmissaryError("forbidden", "State does not edit events: send the edit as a message.");
  });
}

/** Lists relations that have a type. One without, such as a plain reply's, changes nothing anywhere. */
function relationsIn(content: JsonObject) {
  const one = Object.hasOwn(content, RELATION) ? (content[RELATION] ?? null) : null;
  const list = Object.hasOwn(content, RELATIONS) ? (content[RELATIONS] ?? null) : null;
  if (list !== null && !Array.isArray(list)) throw unreadable(RELATIONS);
  return [one, ...(list ?? [])].flatMap((relation) => {
    if (relation === null) return [];
    if (!isJsonObject(relation)) throw unreadable(RELATION);
    const { rel_type: relType, event_id: eventId } = relation;
    if (relType === undefined || relType === null) return [];
    if (typeof relType !== "string" || typeof eventId !== "string") throw unreadable(RELATION);
    return [{ relType, eventId }];
  });
}

/** Others may read it differently than we do, so a relation that Emissary does not understand is not sent. */
function unreadable(key: string): EmissaryError {
  return new EmissaryError("bad-request", `${key} must have \`rel_type\` and \`event_id\` as texts.`);
}
