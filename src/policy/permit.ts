import type { RoomAlias, RoomId, TenantId } from "../model/ids.ts";
import { ANY_ROOM, type Grant, type Tenant, type TenantAction } from "../model/tenant.ts";
import { matchesGlob } from "./glob.ts";
import { namesRoom } from "./grants.ts";

/** A room, as grants see it. The room's own claims are left out: anybody can make them. */
export interface GrantedRoom {
  readonly id: RoomId;
  /** The alias that the tenant asked by, if the directory points it to the room; else null. */
  readonly alias: RoomAlias | null;
  /** Whether anybody may enter the room. */
  readonly isPublic: boolean;
}

/** An action of a tenant that needs permission. */
export interface Deed {
  readonly action: TenantAction;
  /** Null for a room that will be created. */
  readonly room: GrantedRoom | null;
  /** The event type, for `send`, `state` and `room-state`. */
  readonly type: string | null;
  /** The tenant for which the pseudouser created the room, or null. */
  readonly createdFor: TenantId | null;
}

/** Actions that the pseudouser can do in a room only with power that somebody gave it. */
const POWERS: ReadonlySet<TenantAction> = new Set(["redact-others", "state", "room-state", "invite", "kick", "ban"]);

/** Actions that a tenant may do in a room that was created for it, as a room's creator may. */
const CREATOR_ACTIONS: ReadonlySet<TenantAction> = new Set(["read", "send", "redact", ...POWERS]);

/** A room that the tenant created needs no grant that names it, as long as the tenant may create rooms. */
function isOwnRoom({ id, grants }: Tenant, createdFor: TenantId | null): boolean {
  return createdFor === id && grants.some(({ actions }) => actions.includes("create"));
}

/**
 * Returns why a tenant may not do something, as the end of a sentence, or null if it may. One grant must allow all of
 * it: the room, the action and the type. The power in another tenant's room is that tenant's, unless a grant names it.
 */
export function refusalFor(tenant: Tenant, deed: Deed): string | null {
  const { action, room, type, createdFor } = deed;
  if (CREATOR_ACTIONS.has(action) && isOwnRoom(tenant, createdFor)) return null;
  const inRoom = room === null ? tenant.grants : tenant.grants.filter((grant) => reachOf(grant, room) !== "none");
  if (inRoom.length === 0) return "no grant covers this room";
  const withAction = inRoom.filter((grant) => grant.actions.includes(action));
  if (withAction.length === 0) return `it is allowed ${listOf(inRoom)} here, and not ${action}`;
  const withType = withAction.filter(({ types }) => type === null || types === null || matchesGlob(types, type));
  if (withType.length === 0) return `no grant allows to ${action} events of the type ${type ?? ""} here`;
  if (
    room !== null &&
    createdFor !== null &&
    createdFor !== tenant.id &&
    POWERS.has(action) &&
    !withType.some((grant) => namesRoom(grant, room.id))
  ) {
    return "the room was created for another tenant, whose power it would use";
  }
  return null;
}

/** How the grants cover a room: `named` if a grant covers its ID, which opens private rooms, too. */
export type Reach = "none" | "any" | "named";

/** Returns what the grants say before the room is known. Policy then checks whether it is public. */
export function reachFor(
  tenant: Tenant,
  { id, alias }: Omit<GrantedRoom, "isPublic">,
  createdFor: TenantId | null = null,
): Reach {
  if (isOwnRoom(tenant, createdFor)) return "named";
  const reaches = tenant.grants.map((grant) => reachOf(grant, { id, alias, isPublic: true }));
  if (reaches.includes("named")) return "named";
  return reaches.includes("any") ? "any" : "none";
}

/** An alias of a grant, and the room that it was granted for; null if that is not known. */
export interface MovedAlias {
  readonly alias: RoomAlias;
  readonly roomId: RoomId | null;
}

/** Returns the alias if it was granted to the tenant, but for other rooms than the one it points to now; else null. */
export function movedAlias(tenant: Tenant, alias: RoomAlias, pointsTo: RoomId): MovedAlias | null {
  const granted = tenant.grants.filter(({ rooms }) => rooms.includes(alias));
  if (granted.length === 0) return null;
  const pins = granted.flatMap(({ pins = [] }) => pins).filter((pin) => pin.alias === alias);
  if (pins.some(({ roomId }) => roomId === pointsTo)) return null;
  return { alias, roomId: pins[0]?.roomId ?? null };
}

/** Whether a right of the tenant may depend on where an alias points now. If so, ask the directory. */
export function goesByAlias({ grants }: Tenant, alias: RoomAlias): boolean {
  return grants.some(({ rooms }) => rooms.some((pattern) => isAliasGlob(pattern) && matchesGlob([pattern], alias)));
}

/**
 * Returns how a grant covers a room. An alias without a wildcard stands for the room that it was granted for. A glob
 * of aliases leaves the choice of the room to the owner of a matching alias, so it covers what `*` would.
 */
function reachOf(grant: Grant, { id, alias, isPublic }: GrantedRoom): Reach {
  const { rooms } = grant;
  if (rooms.includes(ANY_ROOM)) return "any";
  if (namesRoom(grant, id) || matchesGlob(rooms, id)) return "named";
  if (alias === null || !isPublic) return "none";
  return rooms.some((pattern) => isAliasGlob(pattern) && matchesGlob([pattern], alias)) ? "any" : "none";
}

/** Whether a pattern is a glob that an alias can match. */
function isAliasGlob(pattern: string): boolean {
  return /[*?]/.test(pattern) && !pattern.startsWith("!");
}

function listOf(grants: readonly Grant[]): string {
  return [...new Set(grants.flatMap(({ actions }) => actions))].join(", ");
}
