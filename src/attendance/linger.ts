import type { RoomId } from "../model/ids.ts";

/** How often rooms are looked into. */
export interface Visits {
  /** In how many hours, since a time, somebody began to look into the room. */
  hours(roomId: RoomId, since: number): Promise<number>;
  /** How many rooms the pseudouser is in. */
  rooms(): Promise<number>;
}

export interface Popularity {
  /** How long we stay in a room after one look, milliseconds. */
  readonly linger: number;
  /** In how many hours of the last day somebody began to look into it. */
  readonly hours: number;
  readonly rooms: number;
  readonly maxRooms: number;
}

/** What counts as lately. */
export const LATELY_MS = 24 * 3_600_000;
/** However often a room is looked into, we do not stay there longer than this on that account. */
export const LONGEST_MS = 6 * 3_600_000;

/**
 * How long we stay in a room that nobody looks into any more: with each hour of the last day in which somebody came, twice as long. Everybody in
 * the room sees us come and go, and the next to look in waits for a join. Hours count, not looks, so that nobody makes it long at once; and
 * while more than half of the rooms that may be are used, none is kept on that account. Pure.
 */
export function lingerOf({ linger, hours, rooms, maxRooms }: Popularity): number {
  if (hours < 2 || rooms * 2 > maxRooms) return linger;
  return Math.max(linger, Math.min(linger * 2 ** (hours - 1), LONGEST_MS));
}
