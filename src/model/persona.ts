import { AS_PERSONA, ON_BEHALF_OF, ownerIn, ownTxnId, withoutMarks, type Owner } from "./attribution.ts";
import type { RoomEvent } from "./event.ts";
import { isUserId, type TenantId, type UserId } from "./ids.ts";
import { isJsonObject, stringAt, without, type JsonObject } from "./json.ts";
import { revisionOf } from "./json-text.ts";
import {
  addProfile,
  ownProfiles,
  removeProfile,
  sentProfiles,
  takesProfile,
  type Profile,
  type ShownAuthor,
} from "./message-profile.ts";
import { answeredIn, namingUser } from "./references.ts";
import { isCreatorIn, levelsSeen, POWER_LEVELS, type LevelsViewer } from "./power-levels.ts";

export type { Profile };

/** A user of a tenant's that is in a room; this exists inside Emissary only. */
export interface PersonaInRoom extends Profile {
  readonly userId: UserId;
}

/** What a tenant's content is sent as. */
export interface Costume extends ShownAuthor {
  /** The event's type. */
  readonly type: string;
  /** The user is the tenant's own sender, which shows as the pseudouser itself. */
  readonly isSender: boolean;
  /** What becomes of power levels: the only marks of ours besides those of whose an event is. */
  readonly levels?: (content: JsonObject) => JsonObject;
}

/** Whose eyes an event is seen with. */
export interface Viewer extends LevelsViewer {
  /** Whether a user is some tenant's. */
  readonly isTenants: (userId: UserId) => boolean;
  /** Events that are the viewer's own, by the user that sent them: who answers one of them names that user. */
  readonly answered?: ReadonlyMap<string, UserId>;
}

const CREATE = "m.room.create";
const MEMBER = "m.room.member";

/** Where a content holds another one that may take its place (spec, "Event replacements"). */
const NEW_CONTENT = "m.new_content";

/** Events in events: a thread's latest, its edit, the edit's redaction. Nothing lawful goes deeper. */
const MAX_DEPTH = 4;

/**
 * The content that goes out for one of a tenant: with the marks of whose it is, and, for a persona's messages, a profile.
 * `fromWire` makes it the tenant's content again, whatever that is, but for one thing: the marks are ours to give, so marks that
 * the content has already, another tenant's perhaps, do not survive.
 */
export function toWire(content: JsonObject, costume: Costume): JsonObject {
  const unmarked = withoutMarks(content);
  const wire = oneToWire(costume.levels?.(unmarked) ?? unmarked, costume);
  // A server may put it in the content's place, and clients do: it carries all that the content does.
  const edited = wire[NEW_CONTENT];
  return isJsonObject(edited) ? { ...wire, [NEW_CONTENT]: oneToWire(edited, costume) } : wire;
}

/**
 * An event as a tenant sees it. One of its own has the user as sender that sent it, and the content that was sent; so have those
 * that the homeserver put into `unsigned`. All others are as they are, and the same object, but for what tells of power: the
 * pseudouser's is shown as the tenant's. A redaction takes the marks away with the rest of the content, so a redacted event is
 * nobody's: its sender is the pseudouser for everybody.
 */
export function fromWire(event: RoomEvent, viewer: Viewer): RoomEvent {
  return jsonFromWire(event as unknown as JsonObject, viewer) as unknown as RoomEvent;
}

/** Like fromWire, for what stands where an event should and may lack what an event has: stripped state, answers of servers. */
export function jsonFromWire(event: JsonObject, viewer: Viewer): JsonObject {
  return revisionOf(event, fromWireAt(event, viewer, 0));
}

/**
 * Whether an event is no tenant's business: what the pseudouser's own membership comes to is attendance's, and so is that of a user of a
 * tenant's that came only to let it in (attendance/stand-ins.ts). Bridges take every member that they do not know for a person. That
 * the pseudouser is put out is left: for a tenant it is its own user that has to go.
 */
export function isAttendance(
  given: JsonObject | RoomEvent,
  { own, isTenants }: Pick<Viewer, "own" | "isTenants">,
): boolean {
  const event = given as JsonObject;
  const { type, sender, state_key: key, content } = event;
  if (type !== MEMBER || typeof key !== "string") return false;
  if (key === own) return sender === own || !isPutOut(event, own);
  const isMarked = isJsonObject(content) && ownerIn(content) !== null;
  return key === sender && isMarked && isUserId(key) && isTenants(key);
}

/** Whether somebody puts the pseudouser out. */
function isPutOut({ type, sender, state_key: key, content }: JsonObject, own: UserId): boolean {
  if (type !== MEMBER || key !== own || sender === own || !isJsonObject(content)) return false;
  return content["membership"] === "leave" || content["membership"] === "ban";
}

/** A state event's content alone. Who set it is not said, and by the marks it is the tenant's. */
export function stateFromWire(type: string, content: JsonObject, viewer: Viewer): JsonObject {
  const owner = ownerIn(content);
  const user = userOf(owner, viewer);
  const seen = user === null || owner === null ? content : contentFromWire(content, owner.tenant);
  if (type === POWER_LEVELS) return levelsSeen(seen, viewer);
  return type === CREATE ? withCreators(withMaker(seen, user, viewer), viewer) : seen;
}

/** A content of the tenant's as it was sent. */
function contentFromWire(content: JsonObject, tenant: TenantId): JsonObject {
  const bare = oneFromWire(content, tenant);
  const edited = bare[NEW_CONTENT];
  return isJsonObject(edited) ? { ...bare, [NEW_CONTENT]: oneFromWire(edited, tenant) } : bare;
}

function oneToWire(content: JsonObject, costume: Costume): JsonObject {
  const { type, tenant, user, isSender } = costume;
  const own = ownProfiles(content, costume);
  const shown = !isSender && takesProfile(type, content) ? addProfile(own, costume) : own;
  return { ...shown, [ON_BEHALF_OF]: tenant, ...(isSender ? {} : { [AS_PERSONA]: user }) };
}

function oneFromWire(content: JsonObject, tenant: TenantId): JsonObject {
  return sentProfiles(removeProfile(without(content, ON_BEHALF_OF, AS_PERSONA)), tenant);
}

function fromWireAt(event: JsonObject, viewer: Viewer, depth: number): JsonObject {
  if (depth > MAX_DEPTH) return event;
  const isOurs = event["sender"] === viewer.own;
  const content = event["content"];
  const owner = isOurs && isJsonObject(content) ? ownerIn(content) : null;
  const user = userOf(owner, viewer);
  let seen = event;
  if (user !== null && owner !== null && isJsonObject(content)) {
    const bare = contentFromWire(content, owner.tenant);
    seen = { ...event, sender: user, content: event["type"] === CREATE ? withMaker(bare, user, viewer) : bare };
    // Synapse answers reads in an older format, which has some things twice: this one, and parts of `unsigned`.
    if (event["user_id"] === viewer.own) seen["user_id"] = user;
  }
  if (user === null && viewer.answered !== undefined) seen = withNames(seen, viewer.own, viewer.answered);
  const nested = (value: JsonObject): JsonObject => fromWireAt(value, viewer, depth + 1);
  if (isPutOut(event, viewer.own)) seen = { ...seen, state_key: viewer.tenant.sender };
  seen = withPower(withPrevious(seen, viewer), viewer);
  seen = changed(seen, "redacted_because", nested);
  return changed(seen, "unsigned", (unsigned) => {
    const related = changed(changed(unsigned, "redacted_because", nested), "m.relations", (relations) =>
      changed(changed(relations, "m.replace", nested), "m.thread", (thread) => changed(thread, "latest_event", nested)),
    );
    return isOurs ? withTxnId(related, user === null ? null : owner) : related;
  });
}

function withNames(event: JsonObject, own: UserId, answered: ReadonlyMap<string, UserId>): JsonObject {
  return changed(event, "content", (content) => {
    const user = answered.get(answeredIn(content) ?? "");
    return user === undefined ? content : namingUser(content, own, user);
  });
}

/** Those of the owners' events that are the viewer's, by the user that it knows as their sender. */
export function ownAmong(owners: ReadonlyMap<string, Owner>, viewer: Viewer): ReadonlyMap<string, UserId> {
  const found = [...owners].flatMap(([eventId, owner]) => {
    const user = userOf(owner, viewer);
    return user === null ? [] : [[eventId, user] as const];
  });
  return new Map(found);
}

/** The user that the tenant knows an event's owner as; null where that is not the tenant. */
function userOf(owner: Owner | null, { tenant }: Viewer): UserId | null {
  return owner?.tenant === tenant.id ? (owner.persona ?? tenant.sender) : null;
}

/** What stood in the state before: ours only where the homeserver says so, since anybody can write our marks into a content. */
function withPrevious(event: JsonObject, viewer: Viewer): JsonObject {
  const unsigned = event["unsigned"];
  if (!isJsonObject(unsigned) || unsigned["prev_sender"] !== viewer.own) return event;
  const before = unsigned["prev_content"];
  const user = isJsonObject(before) ? userOf(ownerIn(before), viewer) : null;
  if (user === null) return event;
  const bare = (content: JsonObject): JsonObject => contentFromWire(content, viewer.tenant.id);
  const prev = changed({ ...unsigned, prev_sender: user }, "prev_content", bare);
  return changed({ ...event, unsigned: prev }, "prev_content", bare);
}

/**
 * What power the pseudouser has, as the tenant's: levels, and a creator's where that is power. An unlimited one has no level, so it is the
 * event's sender that tells (MSC4289), also where the room was made for another tenant, or replaces one that was.
 */
function withPower(event: JsonObject, viewer: Viewer): JsonObject {
  if (event["type"] === POWER_LEVELS) {
    const levels = (content: JsonObject): JsonObject => levelsSeen(content, viewer);
    const seen = changed(changed(event, "content", levels), "prev_content", levels);
    return changed(seen, "unsigned", (unsigned) => changed(unsigned, "prev_content", levels));
  }
  if (event["type"] !== CREATE || !isCreatorIn(event, viewer.own)) return event;
  const seen = changed(event, "content", (content) => withCreators(content, viewer));
  if (seen["sender"] !== viewer.own) return seen;
  const { sender } = viewer.tenant;
  return { ...seen, sender, ...(seen["user_id"] === viewer.own ? { user_id: sender } : {}) };
}

/** Before room version 11 the homeserver writes the room's maker into the content, too (MSC2175). */
function withMaker(content: JsonObject, user: UserId | null, { own }: Viewer): JsonObject {
  return user !== null && content["creator"] === own ? { ...content, creator: user } : content;
}

function withCreators(content: JsonObject, { own, tenant }: Viewer): JsonObject {
  const creators = content["additional_creators"];
  if (!Array.isArray(creators) || !creators.includes(own)) return content;
  return { ...content, additional_creators: creators.map((user) => (user === own ? tenant.sender : user)) };
}

/** All tenants send with one token, so the homeserver shows each the others' transaction IDs (spec, `unsigned.transaction_id`). */
function withTxnId(unsigned: JsonObject, owner: Owner | null): JsonObject {
  const sent = stringAt(unsigned, "transaction_id");
  if (sent === null) return unsigned;
  const rest = without(unsigned, "transaction_id");
  const txnId = owner === null ? null : ownTxnId(owner, sent);
  return txnId === null ? rest : { ...rest, transaction_id: txnId };
}

/** The object with one of its objects changed; the same object where that stays the same. */
function changed(object: JsonObject, key: string, change: (value: JsonObject) => JsonObject): JsonObject {
  const value = object[key];
  if (!isJsonObject(value)) return object;
  const next = change(value);
  return next === value ? object : { ...object, [key]: next };
}
