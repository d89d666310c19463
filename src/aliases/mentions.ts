import type { RoomEvent } from "../model/event.ts";
import { isRoomAlias, serverOf, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";

/** More aliases of ours than this one event does not name: who writes such has something else in mind. */
const MAX_MENTIONED = 20;

export interface Mention {
  readonly roomId: RoomId;
  /** Aliases of our server that the event names. Those that it names no more are found by their room. */
  readonly aliases: readonly RoomAlias[];
}

/** What an event says of a room's aliases; null where it says nothing. Whether it is true the directory tells. */
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
