import type { RoomAlias, RoomId, TenantId } from "../model/ids.ts";
import { ANY_ROOM, type Grant, type Tenant, type TenantAction } from "../model/tenant.ts";
import { matchesGlob } from "./glob.ts";
import { namesRoom } from "./grants.ts";

/** A room, as far as a tenant's grants go by it. What the room calls itself is not among it: that is its own word. */
export interface GrantedRoom {
  readonly id: RoomId;
  /** The alias that the tenant asked by, where the directory says that it points to the room; else null. */
  readonly alias: RoomAlias | null;
  /** Whether anybody may enter it. */
  readonly isPublic: boolean;
}

/** What a tenant wants to do, as far as its permission goes. */
export interface Deed {
  readonly action: TenantAction;
  /** Null for a room to be made. */
  readonly room: GrantedRoom | null;
  /** The event type, for `send`, `state` and `room-state`. */
  readonly type: string | null;
  /** The tenant that the pseudouser created the room for, or null. */
  readonly createdFor: TenantId | null;
}

/** What the pseudouser can do in a room only because somebody gave it the power to. */
const POWERS: ReadonlySet<TenantAction> = new Set(["redact-others", "state", "room-state", "invite", "kick", "ban"]);

/** What a tenant may do in a room that was made for it, as whoever makes a room may. */
const CREATOR_ACTIONS: ReadonlySet<TenantAction> = new Set(["read", "send", "redact", ...POWERS]);

/** A room of the tenant's own making needs no grant that names it, for as long as the tenant may make rooms. */
function isOwnRoom({ id, grants }: Tenant, createdFor: TenantId | null): boolean {
  return createdFor === id && grants.some(({ actions }) => actions.includes("create"));
}

/**
 * Why a tenant may not do something, as the end of a sentence, or null where it may. One grant is to allow all of it: the room,
 * the action and the type. The power that another tenant's room gives is the other's, unless a grant names that room itself.
 */
export function objectionTo(tenant: Tenant, deed: Deed): string | null {
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

/** What is said of a room to a tenant: `named` where a grant covers the room by its ID, which opens private ones, too. */
export type Word = "none" | "any" | "named";

/** What the grants say before the room is known: whether it is public is policy's next question. */
export function wordFor(
  tenant: Tenant,
  { id, alias }: Omit<GrantedRoom, "isPublic">,
  createdFor: TenantId | null = null,
): Word {
  if (isOwnRoom(tenant, createdFor)) return "named";
  const words = tenant.grants.map((grant) => reachOf(grant, { id, alias, isPublic: true }));
  if (words.includes("named")) return "named";
  return words.includes("any") ? "any" : "none";
}

/** An alias of a grant, and the room that it was granted for; null where that is not known. */
export interface MovedAlias {
  readonly alias: RoomAlias;
  readonly roomId: RoomId | null;
}

/** The alias, where it was granted to the tenant, and for other rooms than the one that it points to now; null where it was not. */
export function movedAlias(tenant: Tenant, alias: RoomAlias, pointsTo: RoomId): MovedAlias | null {
  const granted = tenant.grants.filter(({ rooms }) => rooms.includes(alias));
  if (granted.length === 0) return null;
  const pins = granted.flatMap(({ pins = [] }) => pins).filter((pin) => pin.alias === alias);
  if (pins.some(({ roomId }) => roomId === pointsTo)) return null;
  return { alias, roomId: pins[0]?.roomId ?? null };
}

/** Whether a tenant may have a right by where an alias points now: then the directory is to be asked. */
export function goesByAlias({ grants }: Tenant, alias: RoomAlias): boolean {
  return grants.some(({ rooms }) => rooms.some((pattern) => isAliasGlob(pattern) && matchesGlob([pattern], alias)));
}

/**
 * By which word a grant covers a room. An alias without a wildcard stands for the room that it was granted for. A glob of aliases cannot
 * say which room is meant: whoever owns such an alias says that, so it covers what a grant for all rooms would.
 */
function reachOf(grant: Grant, { id, alias, isPublic }: GrantedRoom): Word {
  const { rooms } = grant;
  if (rooms.includes(ANY_ROOM)) return "any";
  if (namesRoom(grant, id) || matchesGlob(rooms, id)) return "named";
  if (alias === null || !isPublic) return "none";
  return rooms.some((pattern) => isAliasGlob(pattern) && matchesGlob([pattern], alias)) ? "any" : "none";
}

/** A glob that an alias can match. */
function isAliasGlob(pattern: string): boolean {
  return /[*?]/.test(pattern) && !pattern.startsWith("!");
}

function listOf(grants: readonly Grant[]): string {
  return [...new Set(grants.flatMap(({ actions }) => actions))].join(", ");
}
