export interface Popularity {
  /** How long we stay in a room after one visit, in milliseconds. */
  readonly linger: number;
  /** Hours of the last day in which a visit began. */
  readonly hours: number;
  readonly rooms: number;
  readonly maxRooms: number;
}

/** The period in which visits count. */
export const LATELY_MS = 24 * 3_600_000;
/** Longest linger that visits can cause. */
export const LONGEST_MS = 6 * 3_600_000;

/**
 * Returns how long we stay in a room after its last visit: the linger doubles with each further hour of the last day
 * that had a visit. Everybody in the room sees us come and go, and the next visitor waits for a join. Hours count, not
 * visits, so that nobody can make the linger long at once. With more than half of the allowed rooms, none is. Pure.
 */
export function lingerOf({ linger, hours, rooms, maxRooms }: Popularity): number {
  if (hours < 2 || rooms * 2 > maxRooms) return linger;
  return Math.max(linger, Math.min(linger * 2 ** (hours - 1), LONGEST_MS));
}
