import { isRoomAlias, isRoomId, type RoomAlias, type RoomId } from "../model/ids.ts";
import { ANY_ROOM, type Grant, type GrantPin } from "../model/tenant.ts";
import { MAX_GLOB } from "./glob.ts";
import { isOneAlias } from "./pins.ts";

/** Most patterns of rooms, or of event types, in one grant. */
export const MAX_PATTERNS = 100;
/** Most grants of a tenant, including those from invites. Each of its requests checks all of them. */
export const MAX_GRANTS = 500;

/** Returns what is wrong with a grant's patterns of rooms, as sentences without the full stop. */
export function faultsInRooms(rooms: readonly string[]): string[] {
  if (rooms.includes(ANY_ROOM) && rooms.length > 1) {
    return ["* stands for every room and goes alone: leave the other patterns out, or give them a grant of their own"];
  }
  return [...faultsInNumber(rooms), ...rooms.map(faultInRoom).filter((fault) => fault !== null)];
}

/** Returns the same for patterns of event types. */
export function faultsInTypes(types: readonly string[]): string[] {
  return [...faultsInNumber(types), ...types.map(faultInLength).filter((fault) => fault !== null)];
}

/** Whether each grant that names this room can be copied for another one. */
export function haveSpaceFor(grants: readonly Grant[], roomId: RoomId): boolean {
  return grants.length + grants.filter((grant) => namesRoom(grant, roomId)).length <= MAX_GRANTS;
}

/** Whether a grant names a room without a wildcard: by its ID, or by an alias that was granted for it. */
export function namesRoom({ rooms, pins = [] }: Grant, id: RoomId): boolean {
  return rooms.includes(id) || pins.some(({ alias, roomId }) => roomId === id && rooms.includes(alias));
}

/** Whether two grants allow the same, regardless of their source. */
export function isSameGrant(one: Grant, other: Grant): boolean {
  const [a, b] = [one, other].map(({ rooms, actions, types }) => JSON.stringify([rooms, actions, types]));
  return a === b;
}

/** Whether the aliases of two grants stand for the same rooms, and none of the first's was found to be moved. */
export function hasSamePins({ pins = [] }: Grant, { pins: others = [] }: Grant): boolean {
  const isSame = (pin: GrantPin): boolean =>
    pin.moved === null && others.some(({ alias, roomId }) => alias === pin.alias && roomId === pin.roomId);
  return pins.length === others.length && pins.every(isSame);
}

/** Returns a grant's aliases that stand for no room yet. */
export function unpinned({ rooms, pins = [] }: Grant): readonly RoomAlias[] {
  return rooms.filter(isOneAlias).filter((name) => !pins.some(({ alias }) => alias === name));
}

function faultsInNumber(patterns: readonly string[]): string[] {
  if (patterns.length === 0) return ["there is no pattern"];
  return patterns.length > MAX_PATTERNS ? [`there are ${patterns.length} patterns; at most ${MAX_PATTERNS} fit`] : [];
}

function faultInLength(pattern: string): string | null {
  if (pattern === "") return "an empty pattern matches nothing";
  return pattern.length > MAX_GLOB ? `${pattern.slice(0, 20)}… is longer than ${MAX_GLOB} characters` : null;
}

function faultInRoom(pattern: string): string | null {
  const fault = faultInLength(pattern);
  if (fault !== null || pattern === ANY_ROOM) return fault;
  const shown = JSON.stringify(pattern);
  // This pattern covers every room, and would also count as naming each private room.
  if (/^[*?]+$/.test(pattern)) return `${shown} has wildcards only: write *, or !* for the private rooms, too`;
  if (!/^[!#*?]/.test(pattern)) {
    return `${shown} matches no room: room IDs begin with !, aliases with #, and globs with one of these or a wildcard`;
  }
  if (/[*?]/.test(pattern) || isRoomId(pattern) || isRoomAlias(pattern)) return null;
  return `${shown} is neither a room ID (!…) nor an alias (#name:server)`;
}
