/**
 * What goes out for a tenant. All tenants send as one user, and homeservers and clients let a user change what it sent itself: edit it,
 * remove it, end its poll, move its place on a map. So what an event may say of others is a list of what is known to be harmless.
 */
import { EmissaryError } from "../../model/errors.ts";
import { isEventId } from "../../model/ids.ts";
import { isDeeperThan, isJsonObject, only, type JsonObject, type JsonValue } from "../../model/json.ts";
import { revisionOf } from "../../model/json-text.ts";
import { MESSAGE_PROFILE } from "../../model/message-profile.ts";
import { toWire, type Costume } from "../../model/persona.ts";
import { POWER_LEVELS } from "../../model/power-levels.ts";

/**
 * How an event comes to be: sent, as a call to redact, as state; as somebody's `membership`, by whoever looks what that may be; or with
 * a room that is made: `creation` for `m.room.create`, `first-state` for the rest.
 */
export type Way = "send" | "redact" | "state" | "membership" | "creation" | "first-state";

/** An event that another one says something of. */
export interface Target {
  /** As it stands there; it may be no event ID. */
  readonly eventId: string;
  /**
   * Whose it has to be: the tenant's own, or anybody's but another tenant's; `redactable` is likewise, by the action that is for whoever
   * sent it.
   */
  readonly mustBe: "own" | "not-anothers" | "redactable";
  /** What becomes of it, after “cannot be”. */
  readonly doing: string;
}

export interface Outgoing {
  readonly content: JsonObject;
  /** What has to be asked of the homeserver before it is sent. */
  readonly targets: readonly Target[];
}

export const REDACTION = "m.room.redaction";

/**
 * What no tenant sends, in any way. A membership is attendance's or has a call of its own; the event that makes a room says whose the
 * room is; an invite of an e-mail address has servers call whatever address it names, and lets people in without an invite.
 */
const NEVER: ReadonlySet<string> = new Set(["m.room.member", "m.room.create", "m.room.third_party_invite"]);

/**
 * Messages, which are no state. Homeservers take them as state all the same: a redaction then redacts (Synapse: `store_redaction` asks for
 * the type alone), and a text goes past what keeps texts out of encrypted rooms.
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
/** MSC3051, which has several in a list. */
const RELATIONS = "m.relations";

const REPLACE = "m.replace";
/** These leave the event that they name as it is, whoever sent that: a reaction, an answer in a thread. */
const HARMLESS: ReadonlySet<string> = new Set(["m.annotation", "m.thread"]);
/** A vote names somebody's poll. Clients take the end of a poll, which names it likewise, from whoever sent the poll. */
const REFERENCE = "m.reference";
const VOTES: ReadonlySet<string> = new Set(["m.poll.response", "org.matrix.msc3381.poll.response"]);

/** What of a content decides what becomes of it here. */
const JUDGED: ReadonlySet<string> = new Set([
  ...[RELATION, RELATIONS, MESSAGE_PROFILE, "m.per_message_profile"],
  ...["msgtype", "body", "filename", "format", "formatted_body", "redacts"],
]);

/** Each costs a question to the homeserver. */
const MAX_RELATIONS = 4;

/** What is nested deeper cannot be written as JSON safely, and no event is. */
const MAX_NESTING = 500;

/**
 * The content that is sent for one of a tenant, whichever way: with our marks and no others, and what has to hold of the events that it
 * names.
 * @throws EmissaryError `forbidden` for what no tenant sends in this way, `bad-request` for what cannot be read
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
  if (NEVER.has(type)) throw new EmissaryError("forbidden", `${type} is not for tenants to send.`);
  if (way !== "send" && way !== "redact" && MESSAGES.has(type)) {
    throw new EmissaryError("forbidden", `${type} is no state: send it as a message.`);
  }
}

export function noMembership(): EmissaryError {
  return new EmissaryError(
    "forbidden",
    "A membership that a tenant sets as state is one of its own users', or an invite, leave or ban of somebody else: whoever joins or knocks does that itself.",
  );
}

/**
 * Of a redaction the reason goes out, and what it redacts where it is sent as an event. Else it could bring others along: Synapse takes
 * `org.matrix.msc3912.with_relations` for a wish to redact whatever relates to the event, of which the pseudouser may redact all that it sent.
 */
function redaction(way: Way, content: JsonObject, costume: Costume): Outgoing {
  const kept = way === "redact" ? ["reason"] : ["redacts", "reason"];
  const redacts = content["redacts"];
  if (way === "send" && (typeof redacts !== "string" || !isEventId(redacts))) {
    throw new EmissaryError("bad-request", `${JSON.stringify(redacts)} is not the ID of an event to redact.`);
  }
  const targets = way === "send" && typeof redacts === "string" ? [redactedTarget(redacts)] : [];
  return { content: revisionOf(content, toWire(only(content, ...kept), costume), "all"), targets };
}

/** What has to hold of an event that is to be redacted. */
export function redactedTarget(eventId: string): Target {
  return { eventId, mustBe: "redactable", doing: "redacted" };
}

function targetsIn(way: Way, type: string, content: JsonObject): readonly Target[] {
  const edited = content[NEW_CONTENT];
  const relations = [...relationsIn(content), ...(isJsonObject(edited) ? relationsIn(edited) : [])];
  if (relations.length > 0 && (way === "creation" || way === "first-state")) {
    throw new EmissaryError("forbidden", "In a room that is yet to be made there is no event to relate to.");
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

interface Relation {
  readonly relType: string;
  readonly eventId: string;
}

/** A relation without a type, such as a reply's alone, changes nothing anywhere. */
function relationsIn(content: JsonObject): readonly Relation[] {
  const one = Object.hasOwn(content, RELATION) ? (content[RELATION] ?? null) : null;
  const list = Object.hasOwn(content, RELATIONS) ? (content[RELATIONS] ?? null) : null;
  if (list !== null && !Array.isArray(list)) throw unreadable(RELATIONS);
  return [one, ...(list ?? [])].filter((relation) => relation !== null).flatMap(relationOf);
}

function relationOf(relation: JsonValue): readonly Relation[] {
  if (!isJsonObject(relation)) throw unreadable(RELATION);
  const { rel_type: relType, event_id: eventId } = relation;
  if (relType === undefined || relType === null) return [];
  if (typeof relType !== "string" || typeof eventId !== "string") throw unreadable(RELATION);
  return [{ relType, eventId }];
}

/** Others may read it otherwise than we do: what is not understood is not sent. */
function unreadable(key: string): EmissaryError {
  return new EmissaryError(
    "bad-request",
    `${key} is no relation: it is to have \`rel_type\` and \`event_id\` as texts.`,
  );
}
