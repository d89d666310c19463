import { revisionOf } from "../../model/json-text.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import type { UserId } from "../../model/ids.ts";

/** Of one transaction of the homeserver, so many are looked at. */
export const EPHEMERAL_AT_ONCE = 1_000;

/** A receipt of this type is for everybody in the room; any other is for the user's own namespace (spec v1.4, "Private read receipts"). */
const PUBLIC_RECEIPT = "m.read";

/**
 * An ephemeral event as a tenant gets it: typing and receipts, without those of the pseudouser, which are the doing of tenants. Null
 * for what is not handed on: an empty receipt, and presence, since whose presence concerns a tenant no room tells.
 * @param isPersona whether a user is the tenant's
 */
export function forTenant(event: JsonValue, own: UserId, isPersona: (user: string) => boolean): JsonObject | null {
  if (!isJsonObject(event) || !isJsonObject(event["content"]) || stringAt(event, "room_id") === null) return null;
  const { content } = event;
  if (event["type"] === "m.typing") {
    const users = content["user_ids"];
    const others = Array.isArray(users) ? { user_ids: users.filter((user) => user !== own) } : null;
    return others === null ? null : revisionOf(event, { ...event, content: others });
  }
  if (event["type"] !== "m.receipt") return null;
  const others = Object.entries(content).flatMap(([eventId, byType]) => {
    const rest = told(byType, (type, user) => user !== own && (type === PUBLIC_RECEIPT || isPersona(user)));
    return rest === null ? [] : [[eventId, rest] as const];
  });
  return others.length === 0 ? null : revisionOf(event, { ...event, content: Object.fromEntries(others) });
}

/** The receipts of one event, by their types, that are told; null where none are. */
function told(byType: JsonValue, isTold: (type: string, user: string) => boolean): JsonObject | null {
  if (!isJsonObject(byType)) return null;
  const rest = Object.entries(byType).flatMap(([type, byUser]) => {
    if (!isJsonObject(byUser)) return [];
    const kept = Object.entries(byUser).filter(([user]) => isTold(type, user));
    return kept.length === 0 ? [] : [[type, Object.fromEntries(kept)] as const];
  });
  return rest.length === 0 ? null : Object.fromEntries(rest);
}
