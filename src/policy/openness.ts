import type { Room } from "../model/room.ts";
import { hasPeekableRule, PEEKABLE } from "./peekable/version.ts";

/** How far a room is open to those who are not in it. */
export interface Openness {
  readonly version: string | null;
  readonly joinRule: string | null;
  /** Whether its history is `world_readable`. */
  readonly worldReadable: boolean;
}

export function opennessOf({ version, joinRule, historyVisibility }: Room): Openness {
  return { version, joinRule, worldReadable: historyVisibility === "world_readable" };
}

/** Whether everybody may join, as persons do (docs/room-version.md, rule 5.3.6). */
export function isOpen({ version, joinRule }: Openness): boolean {
  return joinRule === "public" || (joinRule === PEEKABLE && hasPeekableRule(version));
}

/** Whether whoever is not in the room may read what is said there now. */
export function isReadable({ version, joinRule, worldReadable }: Openness): boolean {
  return worldReadable || (joinRule === PEEKABLE && hasPeekableRule(version));
}
