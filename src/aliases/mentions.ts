import type { RoomEvent } from "../model/event.ts";
import { isRoomAlias, serverOf, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";

/** Most of our aliases that are read from one event. No legitimate event names more. */
const MAX_MENTIONED = 20;

export interface Mention {
  readonly roomId: RoomId;
  /** Aliases of our server in the event. Removed aliases are found by their room. */
  readonly aliases: readonly RoomAlias[];
}

/** Returns what an event says about a room's aliases, or null. Only the directory knows whether it is true. */
export function mentionIn(event: RoomEvent, server: ServerName): Mention | null {
  if (event.state_key !== "") return null;
  if (event.type === "m.room.tombstone") return { roomId: event.room_id, aliases: [] };
  if (event.type !== "m.room.canonical_alias") return null;
  const others = event.content["alt_aliases"];
  const named = [event.content["alias"], ...(Array.isArray(others) ? others : [])].filter(
    (text): text is RoomAlias => typeof text === "string" && isRoomAlias(text) && serverOf(text) === server,
  );
  return { roomId: event.room_id, aliases: [...new Set(named)].slice(0, MAX_MENTIONED) };
}
