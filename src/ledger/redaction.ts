import type { RoomEvent } from "../model/event.ts";
import { isEventId, type EventId } from "../model/ids.ts";
import { isJsonObject, only, stringAt, without, type JsonObject, type JsonValue } from "../model/json.ts";

/** The rules that apply if a room's version is unknown or has no number in it. */
const NEWEST = 12;

/** A custom version, such as `org.matrix.msc1777.12`, has the rules of the version it builds on, and perhaps more. */
function rulesOf(version: string | null): number {
  const number = /(?:^|\.)(\d{1,3})$/.exec(version ?? "")?.[1];
  return number === undefined ? NEWEST : Number(number);
}

/** Keys of a content that survive its redaction, and since which version; up to `until` if they no longer do. */
const KEPT: Readonly<Record<string, readonly (readonly [key: string, since: number, until?: number])[]>> = {
  "m.room.create": [["creator", 1]],
  "m.room.member": [
    ["membership", 1],
    ["join_authorised_via_users_server", 9],
  ],
  "m.room.join_rules": [
    ["join_rule", 1],
    ["allow", 8],
  ],
  "m.room.power_levels": [
    ...["ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"].map(
      (key): readonly [string, number] => [key, 1],
    ),
    ["invite", 11],
  ],
  "m.room.aliases": [["aliases", 1, 5]],
  "m.room.history_visibility": [["history_visibility", 1]],
  "m.room.redaction": [["redacts", 11]],
};
/** From this version on, m.room.create and the `signed` of a third-party invite survive (MSC2176, MSC3821). */
const UPDATED_RULES = 11;
const VOUCHED_FOR_BY = "org.matrix.msc1777.vouched_for_by";

/** Returns a content after redaction, by the rules of the room's version (spec, "Redactions" of each version). */
export function redactedContent(type: string, content: JsonObject, version: string | null): JsonObject {
  const rules = rulesOf(version);
  if (type === "m.room.create" && rules >= UPDATED_RULES) return content;
  const known = Object.hasOwn(KEPT, type) ? (KEPT[type] ?? []) : [];
  const keys = known.filter(([, since, until]) => since <= rules && rules <= (until ?? rules)).map(([key]) => key);
  if (type !== "m.room.member") return only(content, ...keys);
  const invite = content["third_party_invite"] ?? null;
  const signed = rules >= UPDATED_RULES && isJsonObject(invite) ? only(invite, "signed") : {};
  return {
    ...only(content, ...keys, ...(version?.startsWith("org.matrix.msc1777.") === true ? [VOUCHED_FOR_BY] : [])),
    ...(Object.keys(signed).length > 0 ? { third_party_invite: signed } : {}),
  };
}

/**
 * Returns the ID of the event that a redaction names: in the content from version 11 on, before that in the event
 * (MSC2174). A homeserver may write both.
 */
export function redactedBy({ type, redacts, content }: RoomEvent, version: string | null): EventId | null {
  if (type !== "m.room.redaction") return null;
  const [inEvent, inContent] = [typeof redacts === "string" ? redacts : null, stringAt(content, "redacts")];
  const isUpdated = version !== null && rulesOf(version) >= UPDATED_RULES;
  const named = isUpdated ? (inContent ?? inEvent) : (inEvent ?? inContent);
  return named !== null && isEventId(named) ? named : null;
}

/** Returns a redaction as it stands in the redacted event (`redacted_because`), without its sender's own text. */
export function becauseOf(redaction: RoomEvent, target: EventId): JsonObject {
  const { type, event_id, room_id, sender, origin_server_ts } = redaction;
  return { type, event_id, room_id, sender, origin_server_ts, redacts: target, content: { redacts: target } };
}

function isPruned({ unsigned = {} }: RoomEvent): boolean {
  return isJsonObject(unsigned["redacted_because"]) || typeof unsigned["redacted_by"] === "string";
}

/** Returns an event after its redaction, as clients get it. */
export function pruned(event: RoomEvent, version: string | null, because: JsonObject): RoomEvent {
  // No homeserver serves a redaction of a room's m.room.create.
  if (event.type === "m.room.create" || isPruned(event)) return event;
  const { event_id, room_id, type, sender, origin_server_ts, content, state_key, unsigned = {} } = event;
  return {
    event_id,
    room_id,
    type,
    sender,
    origin_server_ts,
    content: redactedContent(type, content, version),
    ...(state_key === undefined ? {} : { state_key }),
    unsigned: { ...only(unsigned, "age", "replaces_state"), redacted_because: because },
  };
}

/** Removes the redacted content from an event that replaced a redacted one (`unsigned.prev_content`). */
export function withoutPrevious(event: RoomEvent, version: string | null): RoomEvent {
  const previous: JsonValue = event.unsigned?.["prev_content"] ?? null;
  if (event.unsigned === undefined || !isJsonObject(previous)) return event;
  const kept = redactedContent(event.type, previous, version);
  return { ...event, unsigned: { ...without(event.unsigned, "prev_content"), prev_content: kept } };
}

/** Returns the event that this one replaced where it was created; null if unknown. */
export function replacedBy({ unsigned }: RoomEvent): EventId | null {
  const replaces = unsigned?.["replaces_state"];
  return typeof replaces === "string" ? (replaces as EventId) : null;
}

/** Sources of the room fields that a redaction can change. It keeps all of m.room.create. */
const FIELDS: Readonly<Record<string, readonly [type: string, key: string]>> = {
  name: ["m.room.name", "name"],
  alias: ["m.room.canonical_alias", "alias"],
  join_rule: ["m.room.join_rules", "join_rule"],
  history_visibility: ["m.room.history_visibility", "history_visibility"],
  encryption: ["m.room.encryption", "algorithm"],
  replacement: ["m.room.tombstone", "replacement_room"],
};
/** An empty ACL lets no server in (spec, "Server access control lists"). */
const EMPTY_ACL = JSON.stringify({ allow: [], deny: [], allow_ip_literals: true });

/** Returns a field of a room as read from its event after redaction. */
export function redactedField(field: string, value: string | null, version: string | null): string | null {
  if (field === "server_acl") return EMPTY_ACL;
  const source = FIELDS[field];
  if (source === undefined || value === null) return value;
  const [type, key] = source;
  return stringAt(redactedContent(type, { [key]: value }, version), key);
}
