import type { ServerName } from "../model/ids.ts";
import type { Room } from "../model/room.ts";
import { hasPeekableRule, PEEKABLE } from "../auth/version.ts";

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

/** Whom a homeserver tells what a room is, though they are neither in it nor invited (spec, client-server API, "GET room summary"). */
const TOLD_TO_ALL: ReadonlySet<string | null> = new Set(["public", "knock", "knock_restricted"]);

/** Whether anybody may know that there is such a room. All others are to strangers as if they were not. */
export function isShown(openness: Openness): boolean {
  return TOLD_TO_ALL.has(openness.joinRule) || isReadable(openness);
}

/** Routes to a room as far as whoever asks for it may have them from us: by what way we came into a hidden room is not to show. */
export function shownRoutes(room: Room | null): readonly ServerName[] {
  if (room === null) return [];
  return room.ownMembership === null || isShown(opennessOf(room)) ? room.via : [];
}
