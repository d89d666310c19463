import { isRoomAlias, isRoomId, isServerName } from "../model/ids.ts";
import { wrongUsage } from "./io.ts";

export const ROOM = "room ID (!…) or alias (#…:server)";

/** Returns the room as given. Throws for wrong usage if it is neither an ID nor an alias. */
export function checkedRoom(room: string): string {
  if (isRoomId(room) || isRoomAlias(room)) return room;
  throw wrongUsage(`${JSON.stringify(room)} is no ${ROOM}. A shell needs quotes around either.`);
}

/** Collects the server names of a repeatable option. */
export function gather(server: string, before: readonly string[] = []): string[] {
  if (!isServerName(server))
    throw wrongUsage(`--via: ${JSON.stringify(server)} is no server name, such as example.org`);
  return [...before, server];
}
