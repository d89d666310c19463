import { own } from "./json.ts";
import { joinRuleOf, readState } from "./state.ts";
import { hasPeekableRule, PEEKABLE } from "./version.ts";

/**
 * Whether a non-member may read an event: the room is peekable, or its history is `world_readable`.
 * @param state the room's state at the event, with the event. An invalid state allows nothing.
 */
export function readableByNonMembers(state: readonly unknown[], roomVersion: unknown): boolean {
  const known = Array.isArray(state) ? readState(state) : null;
  if (known === null) return false;
  if (hasPeekableRule(roomVersion) && joinRuleOf(known) === PEEKABLE) return true;
  const visibility = known.get("m.room.history_visibility", "");
  return visibility !== undefined && own(visibility.content, "history_visibility") === "world_readable";
}
