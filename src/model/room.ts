import type { EventId, RoomId, ServerName, TenantId, UserId } from "./ids.ts";
import type { Membership } from "./membership.ts";

/** Most upgrades of a room that are followed, in either direction. */
export const MAX_UPGRADES = 10;

/**
 * How much of a room the ledger holds. `none`: only what events contained; `wanted`: state and members must be
 * fetched; `loaded`: everything; `stale`: we have left it, and its members will be dropped.
 */
export type LoadState = "none" | "wanted" | "loaded" | "stale";

/** A room as the homeserver described it. A field is null if the room has no such state or we do not know it. */
export interface Room {
  readonly roomId: RoomId;
  readonly load: LoadState;
  /** The pseudouser's own membership; null if no event ever mentioned it. */
  readonly ownMembership: Membership | null;
  readonly ownMembershipEvent: EventId | null;
  /** The `reason` of that membership. An invite's may name the tenant it is for. */
  readonly ownReason: string | null;
  /** The tenant that the pseudouser created the room for; null if there is none. */
  readonly createdFor: TenantId | null;
  readonly creator: UserId | null;
  /** The content of `m.room.server_acl`, as JSON. */
  readonly serverAcl: string | null;
  readonly version: string | null;
  readonly roomType: string | null;
  readonly name: string | null;
  readonly canonicalAlias: string | null;
  readonly joinRule: string | null;
  readonly historyVisibility: string | null;
  /** The algorithm, for example `m.megolm.v1.aes-sha2`. */
  readonly encryption: string | null;
  /** The room that replaces this one (m.room.tombstone). */
  readonly replacement: string | null;
  readonly predecessor: string | null;
  /** Servers to reach the room through, newest first, at most MAX_VIA. */
  readonly via: readonly ServerName[];
}

/**
 * Most servers that we keep and send as routes to one room. More make a failing join longer, not likelier to succeed.
 */
export const MAX_VIA = 8;

/** Puts new routes before the known ones, without repetition, at most MAX_VIA. */
export function mergeVia(fresh: readonly ServerName[], known: readonly ServerName[]): ServerName[] {
  return [...new Set([...fresh, ...known])].slice(0, MAX_VIA);
}
