import { isRoomAlias, isRoomId, isServerName } from "../model/ids.ts";
import { wrongUsage } from "./exit.ts";

export const ROOM = "room ID (!…) or alias (#…:server)";

/** The room as it was given. Throws for wrong usage when it is neither an ID nor an alias. */
export function checkedRoom(room: string): string {
  if (isRoomId(room) || isRoomAlias(room)) return room;
  throw wrongUsage(`${JSON.stringify(room)} is no ${ROOM}. A shell needs quotes around either.`);
}

/** Takes a server name that an option may be given again and again. */
export function gather(server: string, before: readonly string[] = []): string[] {
  if (!isServerName(server))
    throw wrongUsage(`--via: ${JSON.stringify(server)} is no server name, such as example.org`);
  return [...before, server];
}
