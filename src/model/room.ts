import type { EventId, RoomId, ServerName, TenantId, UserId } from "./ids.ts";
import type { Membership } from "./membership.ts";

/** How many upgrades of a room are followed, forth or back. */
export const MAX_UPGRADES = 10;

/**
 * How much of a room the ledger holds.
 * `none`: nothing but what events brought; `wanted`: we are in it and its state and members are still to be fetched;
 * `loaded`: complete; `stale`: we are out of it, and what is kept of its members is to be dropped.
 */
export type LoadState = "none" | "wanted" | "loaded" | "stale";

/** A room as the homeserver told us. A field is null where the room has no such state, or we have not heard of it. */
export interface Room {
  readonly roomId: RoomId;
  readonly load: LoadState;
  /** The pseudouser's own membership; null where no event ever told of one. */
  readonly ownMembership: Membership | null;
  readonly ownMembershipEvent: EventId | null;
  /** The `reason` of that membership; an invite's may say which tenant it is for. */
  readonly ownReason: string | null;
  /** The tenant that the pseudouser created the room for; null where it did not, or for nobody. */
  readonly createdFor: TenantId | null;
  /** Who made the room. */
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

/** How many servers are kept and sent as routes to one room. More lengthens a failing join without making it likelier. */
export const MAX_VIA = 8;

/** Puts newly learnt routes before the known ones, without repetition, at most MAX_VIA. */
export function mergeVia(fresh: readonly ServerName[], known: readonly ServerName[]): ServerName[] {
  return [...new Set([...fresh, ...known])].slice(0, MAX_VIA);
}
