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

/** A tenant's user that is in a room; this exists inside Emissary only. */
export interface PersonaInRoom extends Profile {
  readonly userId: UserId;
}

/** The user that a tenant's content is sent as. */
export interface Costume extends ShownAuthor {
  readonly type: string;
  /** Whether the user is the tenant's own sender, which shows as the pseudouser itself. */
  readonly isSender: boolean;
  /** Changes power levels. They have our only marks besides those of the owner. */
  readonly levels?: (content: JsonObject) => JsonObject;
}

/** The tenant that sees an event. */
export interface Viewer extends LevelsViewer {
  /** Whether the user belongs to any tenant. */
  readonly isTenants: (userId: UserId) => boolean;
  /** The viewer's own events, with the users that sent them: an answer to one of them names its user. */
  readonly answered?: ReadonlyMap<string, UserId>;
}

const CREATE = "m.room.create";
const MEMBER = "m.room.member";

/** A content inside a content that may replace it (spec, "Event replacements"). */
const NEW_CONTENT = "m.new_content";

/** Events in events: a thread's latest, its edit, the edit's redaction. Nothing lawful goes deeper. */
const MAX_DEPTH = 4;

/**
 * Returns the content to send for a tenant: with marks of its owner and, for a persona's messages, a profile.
 * `fromWire` inverts it. Existing marks, perhaps of another tenant, are removed: only Emissary sets them.
 */
export function toWire(content: JsonObject, costume: Costume): JsonObject {
  const unmarked = withoutMarks(content);
  const wire = oneToWire(costume.levels?.(unmarked) ?? unmarked, costume);
  // Servers may replace the content by it, and clients do: it needs everything that the content has.
  const edited = wire[NEW_CONTENT];
  return isJsonObject(edited) ? { ...wire, [NEW_CONTENT]: oneToWire(edited, costume) } : wire;
}

/**
 * Returns an event as a tenant sees it. The tenant's own events, also in `unsigned`, get their original sender and
 * content. Other events stay the same objects, but the pseudouser's power is shown as the tenant's. A redaction
 * removes the marks, so a redacted event has no owner: its sender is the pseudouser.
 */
export function fromWire(event: RoomEvent, viewer: Viewer): RoomEvent {
  return jsonFromWire(event as unknown as JsonObject, viewer) as unknown as RoomEvent;
}

/** Like `fromWire`, for partial events: stripped state, answers of servers. */
export function jsonFromWire(event: JsonObject, viewer: Viewer): JsonObject {
  return revisionOf(event, fromWireAt(event, viewer, 0));
}

/**
 * Returns whether an event is only about attendance and hidden from tenants, since bridges take every unknown member
 * for a person: the pseudouser's own membership, and that of a tenant's user that came only to let it in
 * (attendance/stand-ins.ts). If somebody removes the pseudouser, the tenant sees it: its own user has to go.
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

function isPutOut({ type, sender, state_key: key, content }: JsonObject, own: UserId): boolean {
  if (type !== MEMBER || key !== own || sender === own || !isJsonObject(content)) return false;
  return content["membership"] === "leave" || content["membership"] === "ban";
}

/** Returns a state event's content alone. Its setter is unknown; by its marks it is the tenant's. */
export function stateFromWire(type: string, content: JsonObject, viewer: Viewer): JsonObject {
  const owner = ownerIn(content);
  const user = userOf(owner, viewer);
  const seen = user === null || owner === null ? content : contentFromWire(content, owner.tenant);
  if (type === POWER_LEVELS) return levelsSeen(seen, viewer);
  return type === CREATE ? withCreators(withMaker(seen, user, viewer), viewer) : seen;
}

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
    // Synapse answers reads in an older format, which repeats this key and parts of `unsigned`.
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

/** Returns the viewer's own events among these, each with the user that the viewer knows as its sender. */
export function ownAmong(owners: ReadonlyMap<string, Owner>, viewer: Viewer): ReadonlyMap<string, UserId> {
  const found = [...owners].flatMap(([eventId, owner]) => {
    const user = userOf(owner, viewer);
    return user === null ? [] : [[eventId, user] as const];
  });
  return new Map(found);
}

/** Returns the user that the tenant knows as an event's owner; null if the owner is another tenant. */
function userOf(owner: Owner | null, { tenant }: Viewer): UserId | null {
  return owner?.tenant === tenant.id ? (owner.persona ?? tenant.sender) : null;
}

/** Restores the previous content. It is ours only if the homeserver says so: anybody can write our marks. */
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
 * Shows the pseudouser's power as the tenant's: levels, and a creator's. Unlimited power has no level: the event's
 * sender tells it (MSC4289), also if the room was made for another tenant or replaces such a room.
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

/** Before room version 11 the homeserver writes the creator into the content, too (MSC2175). */
function withMaker(content: JsonObject, user: UserId | null, { own }: Viewer): JsonObject {
  return user !== null && content["creator"] === own ? { ...content, creator: user } : content;
}

function withCreators(content: JsonObject, { own, tenant }: Viewer): JsonObject {
  const creators = content["additional_creators"];
  if (!Array.isArray(creators) || !creators.includes(own)) return content;
  return { ...content, additional_creators: creators.map((user) => (user === own ? tenant.sender : user)) };
}

/** Homeservers show each tenant the others' IDs, since all share a token (spec, `unsigned.transaction_id`). */
function withTxnId(unsigned: JsonObject, owner: Owner | null): JsonObject {
  const sent = stringAt(unsigned, "transaction_id");
  if (sent === null) return unsigned;
  const rest = without(unsigned, "transaction_id");
  const txnId = owner === null ? null : ownTxnId(owner, sent);
  return txnId === null ? rest : { ...rest, transaction_id: txnId };
}

/** Changes one object inside an object. Returns the same object if nothing changes. */
function changed(object: JsonObject, key: string, change: (value: JsonObject) => JsonObject): JsonObject {
  const value = object[key];
  if (!isJsonObject(value)) return object;
  const next = change(value);
  return next === value ? object : { ...object, [key]: next };
}
