import { COOL_DOWN_CODES, type CoolDownCode } from "./cool-down.ts";
import type { RoomId } from "../model/ids.ts";

export { COOL_DOWN_CODES, type CoolDownCode };

export interface CoolDown {
  readonly code: CoolDownCode;
  /** One sentence for people. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Number of consecutive strikes. Each doubles the cool-down. */
  readonly strikes: number;
}

/** Rooms that we keep away from. */
export interface CoolDowns {
  /** Returns the current cool-down, the longest if there are several, or null. */
  of(roomId: RoomId, now: number): Promise<CoolDown | null>;
  /** Starts a cool-down, longer than the last one if that was recent. */
  strike(roomId: RoomId, code: CoolDownCode, reason: string, now: number): Promise<CoolDown>;
  /** Counts the current cool-downs by code. */
  counts(now: number): Promise<Readonly<Record<string, number>>>;
}
