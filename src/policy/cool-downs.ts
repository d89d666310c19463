import type { RoomId } from "../model/ids.ts";

export const COOL_DOWN_CODES = ["flooded", "too-complex", "put-out"] as const;
/**
 * Why a room is kept away from for a while: it sent more than may be, the homeserver finds it too complex to join, or somebody there
 * put us out.
 */
export type CoolDownCode = (typeof COOL_DOWN_CODES)[number];

export interface CoolDown {
  readonly code: CoolDownCode;
  /** One sentence for people. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** How often in a row; each time the cool-down is twice as long. */
  readonly strikes: number;
}

/** The rooms that are kept away from. */
export interface CoolDowns {
  /** The cool-down that lasts now, or null. */
  of(roomId: RoomId, now: number): Promise<CoolDown | null>;
}
