import type { ServerName } from "../model/ids.ts";
import type { Room } from "../model/room.ts";
import { hasPeekableRule, PEEKABLE } from "../auth/version.ts";

/** How open a room is to non-members. */
export interface Openness {
  readonly version: string | null;
  readonly joinRule: string | null;
  /** Whether its history is `world_readable`. */
  readonly worldReadable: boolean;
}

export function opennessOf({ version, joinRule, historyVisibility }: Room): Openness {
  return { version, joinRule, worldReadable: historyVisibility === "world_readable" };
}

/** Whether everybody may join, as people do (docs/room-version.md, rule 5.3.6). */
export function isOpen({ version, joinRule }: Openness): boolean {
  return joinRule === "public" || (joinRule === PEEKABLE && hasPeekableRule(version));
}

/** Whether non-members may read new events. */
export function isReadable({ version, joinRule, worldReadable }: Openness): boolean {
  return worldReadable || (joinRule === PEEKABLE && hasPeekableRule(version));
}

/** Join rules with which a homeserver shows the summary to everybody (spec, client-server API, "GET room summary"). */
const TOLD_TO_ALL: ReadonlySet<string | null> = new Set(["public", "knock", "knock_restricted"]);

/** Whether anybody may know that the room exists. All other rooms must look missing to strangers. */
export function isShown(openness: Openness): boolean {
  return TOLD_TO_ALL.has(openness.joinRule) || isReadable(openness);
}

/** Returns the routes to a room that a caller may see. How we got into a hidden room must not show. */
export function shownRoutes(room: Room | null): readonly ServerName[] {
  if (room === null) return [];
  return room.ownMembership === null || isShown(opennessOf(room)) ? room.via : [];
}
