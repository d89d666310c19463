import { revisionOf } from "../../model/json-text.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import type { UserId } from "../../model/ids.ts";

export const EPHEMERAL_AT_ONCE = 1_000;

/** For everybody in the room; other receipts are for the user's namespace (spec v1.4, "Private read receipts"). */
const PUBLIC_RECEIPT = "m.read";

/**
 * Returns an ephemeral event as a tenant gets it: typing and receipts without the pseudouser's, which come from
 * tenants. Null for an empty receipt, and for presence: no room tells whom it concerns.
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
    const rest = visibleIn(byType, (type, user) => user !== own && (type === PUBLIC_RECEIPT || isPersona(user)));
    return rest === null ? [] : [[eventId, rest] as const];
  });
  return others.length === 0 ? null : revisionOf(event, { ...event, content: Object.fromEntries(others) });
}

function visibleIn(byType: JsonValue, isVisible: (type: string, user: string) => boolean): JsonObject | null {
  if (!isJsonObject(byType)) return null;
  const rest = Object.entries(byType).flatMap(([type, byUser]) => {
    if (!isJsonObject(byUser)) return [];
    const kept = Object.entries(byUser).filter(([user]) => isVisible(type, user));
    return kept.length === 0 ? [] : [[type, Object.fromEntries(kept)] as const];
  });
  return rest.length === 0 ? null : Object.fromEntries(rest);
}
