import type { StateEvent } from "../../model/event.ts";
import type { UserId } from "../../model/ids.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../model/json.ts";
import { isCreatorIn, POWER_LEVELS } from "../../model/power-levels.ts";

export const FUNCTIONAL_MEMBERS = "io.element.functional_members";

/** The part of a room's state that says who may do what. */
export interface RoomPower {
  readonly creation: Pick<StateEvent, "sender" | "content"> | null;
  /** The content of `m.room.power_levels`; null if the room has none. */
  readonly levels: JsonObject | null;
}

export const NO_POWER: RoomPower = { creation: null, levels: null };

/** Returns the known power, updated with this part of the room's state. */
export function powerWith(known: RoomPower, events: readonly StateEvent[]): RoomPower {
  let { creation, levels } = known;
  for (const event of events) {
    if (event.state_key !== "") continue;
    if (event.type === "m.room.create") creation = event;
    if (event.type === POWER_LEVELS) levels = event.content;
  }
  return { creation, levels };
}

/**
 * Returns whether a user may send a state event of this type (spec, room versions, "Authorization rules"; CS API,
 * `m.room.power_levels`).
 */
export function maySend(type: string, user: UserId, { creation, levels }: RoomPower): boolean {
  if (creation === null) return false;
  if (isCreatorIn({ sender: creation.sender, content: creation.content }, user)) return true;
  // A room without the event is still being created: its present rules do not last.
  if (levels === null) return false;
  const users = isJsonObject(levels["users"]) ? levels["users"] : {};
  const types = isJsonObject(levels["events"]) ? levels["events"] : {};
  const has = levelOf(users[user]) ?? levelOf(levels["users_default"]) ?? 0;
  return has >= (levelOf(types[type]) ?? levelOf(levels["state_default"]) ?? 50);
}

/** Rooms before version 10 may have numbers as strings. */
function levelOf(value: JsonValue | undefined): number | null {
  const level = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof level === "number" && Number.isFinite(level) ? level : null;
}
