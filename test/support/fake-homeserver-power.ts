import { isJsonObject, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import type { FakeRoom } from "./fake-homeserver-rooms.ts";

/** What takes a level of its own, and the level where the room's power levels name none (spec, "m.room.power_levels"). */
const USUAL = { state_default: 50, events_default: 0, invite: 0, kick: 50, ban: 50, redact: 50 } as const;

function numberAt(object: JsonObject, key: string): number | null {
  const value = object[key];
  return typeof value === "number" ? value : null;
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** A user's level; that of creators of rooms of version 12 is without end (MSC4289). */
function levelIn(room: FakeRoom, levels: JsonObject, user: string): number {
  const create = room.stateEvent("m.room.create");
  if (room.version === "12" && create?.sender === user) return Infinity;
  return numberAt(objectOf(levels["users"]), user) ?? numberAt(levels, "users_default") ?? 0;
}

/**
 * Whether the room's power levels let a user do something; a room without them lets everybody, as the specification has it for state.
 * @param doing `state` or `send` with the event's type, or the name of an action
 */
function hasPower(
  room: FakeRoom,
  user: string,
  doing: keyof typeof USUAL | "state" | "send" | "unban",
  type = "",
): boolean {
  const levels = room.stateEvent("m.room.power_levels")?.content;
  if (levels === undefined) return true;
  const kind = doing === "state" ? "state_default" : doing === "send" ? "events_default" : doing;
  const asked = kind === "unban" ? "ban" : kind;
  const ofType = type === "" ? null : numberAt(objectOf(levels["events"]), type);
  return levelIn(room, levels, user) >= (ofType ?? numberAt(levels, asked) ?? USUAL[asked]);
}

/**
 * Whether the room's power levels let a user make a request.
 * @param segments of its path, after the room
 */
export function mayDo(
  room: FakeRoom,
  user: string,
  method: string,
  segments: readonly string[],
  body: JsonObject,
): boolean {
  const [action = "", type = "", key = ""] = segments;
  // A membership is no state as other state is (spec, "Authorization rules", `m.room.member`).
  if (`${method} ${action} ${type}` === "PUT state m.room.member" && key !== user) {
    const { membership } = body;
    const isLifted = membership === "leave" && room.membership(key) === "ban";
    return hasPower(room, user, membership === "invite" ? "invite" : membership === "ban" || isLifted ? "ban" : "kick");
  }
  switch (`${method} ${action}`) {
    case "PUT send":
    case "PUT redact":
      return hasPower(room, user, "send", action === "send" ? type : "m.room.redaction");
    case "PUT state":
      return hasPower(room, user, "state", type);
    case "POST upgrade":
      return hasPower(room, user, "state", "m.room.tombstone");
    case "POST invite":
    case "POST kick":
    case "POST ban":
    case "POST unban":
      return hasPower(room, user, action as "invite");
    default:
      return true;
  }
}
