import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import type { UserId } from "../../model/ids.ts";

/** Of one transaction of the homeserver, so many are looked at. */
export const EPHEMERAL_AT_ONCE = 1_000;

/**
 * An ephemeral event as tenants get it: typing and receipts, without those of the pseudouser, which are the doing of tenants. Null
 * for what is not handed on: an empty receipt, and presence, since whose presence concerns a tenant no room tells.
 */
export function forTenants(event: JsonValue, own: UserId): JsonObject | null {
  if (!isJsonObject(event) || !isJsonObject(event["content"]) || stringAt(event, "room_id") === null) return null;
  const { content } = event;
  if (event["type"] === "m.typing") {
    const users = content["user_ids"];
    return Array.isArray(users) ? { ...event, content: { user_ids: users.filter((user) => user !== own) } } : null;
  }
  if (event["type"] !== "m.receipt") return null;
  const others = Object.entries(content).flatMap(([eventId, byType]) => {
    const rest = withoutUser(byType, own);
    return rest === null ? [] : [[eventId, rest] as const];
  });
  return others.length === 0 ? null : { ...event, content: Object.fromEntries(others) };
}

/** The receipts of one event, by their types, without a user's; null where none are left. */
function withoutUser(byType: JsonValue, user: UserId): JsonObject | null {
  if (!isJsonObject(byType)) return null;
  const rest = Object.entries(byType).flatMap(([type, byUser]) => {
    if (!isJsonObject(byUser)) return [];
    const others = Object.entries(byUser).filter(([userId]) => userId !== user);
    return others.length === 0 ? [] : [[type, Object.fromEntries(others)] as const];
  });
  return rest.length === 0 ? null : Object.fromEntries(rest);
}
