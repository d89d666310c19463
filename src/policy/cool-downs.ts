import { COOL_DOWN_CODES, type CoolDownCode } from "./cool-down.ts";
import type { RoomId } from "../model/ids.ts";

export { COOL_DOWN_CODES, type CoolDownCode };

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
  /** The cool-down that lasts now, the longest where there are several, or null. */
  of(roomId: RoomId, now: number): Promise<CoolDown | null>;
  /** Keeps away from a room, longer than the last time where that was lately. */
  strike(roomId: RoomId, code: CoolDownCode, reason: string, now: number): Promise<CoolDown>;
  /** How many rooms are kept away from now, by the reason. */
  counts(now: number): Promise<Readonly<Record<string, number>>>;
}
