import type { TenantId } from "../model/ids.ts";
import { ANY_ROOM, type Grant, type Tenant, type TenantAction } from "../model/tenant.ts";
import { matchesGlob } from "./glob.ts";

/** What a tenant wants to do, as far as its permission goes. */
export interface Deed {
  readonly action: TenantAction;
  /** What the room is known by: its ID, its canonical alias, the alias that the tenant asked by. Empty for a room to be made. */
  readonly names: readonly string[];
  /** The event type, for `send`, `state` and `room-state`. */
  readonly type: string | null;
  /** The tenant that the pseudouser created the room for, or null. */
  readonly createdFor: TenantId | null;
}

/** What the pseudouser can do in a room only because somebody gave it the power to. */
const POWERS: ReadonlySet<TenantAction> = new Set(["state", "room-state", "invite", "kick", "ban"]);

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
  const { action, names, type, createdFor } = deed;
  if (CREATOR_ACTIONS.has(action) && isOwnRoom(tenant, createdFor)) return null;
  const inRoom = names.length === 0 ? tenant.grants : tenant.grants.filter((grant) => covers(grant, names));
  if (inRoom.length === 0) return "no grant covers this room";
  const withAction = inRoom.filter((grant) => grant.actions.includes(action));
  if (withAction.length === 0) return `it is allowed ${listOf(inRoom)} here, and not ${action}`;
  const withType = withAction.filter(({ types }) => type === null || types === null || matchesGlob(types, type));
  if (withType.length === 0) return `no grant allows to ${action} events of the type ${type ?? ""} here`;
  if (
    createdFor !== null &&
    createdFor !== tenant.id &&
    POWERS.has(action) &&
    !withType.some((grant) => namesItself(grant, names))
  ) {
    return "the room was created for another tenant, whose power it would use";
  }
  return null;
}

/** What is said of a room to a tenant: `named` where a grant other than that for all rooms covers it, which opens private ones. */
export type Word = "none" | "any" | "named";

export function wordFor(tenant: Tenant, names: readonly string[], createdFor: TenantId | null = null): Word {
  if (isOwnRoom(tenant, createdFor)) return "named";
  const covering = tenant.grants.filter((grant) => covers(grant, names));
  if (covering.length === 0) return "none";
  return covering.every(isForAnyRoom) ? "any" : "named";
}

function covers({ rooms }: Grant, names: readonly string[]): boolean {
  return names.some((name) => matchesGlob(rooms, name));
}

function isForAnyRoom({ rooms }: Grant): boolean {
  return rooms.includes(ANY_ROOM);
}

/** One that names the room without a wildcard. */
function namesItself({ rooms }: Grant, names: readonly string[]): boolean {
  return names.some((name) => rooms.includes(name));
}

function listOf(grants: readonly Grant[]): string {
  return [...new Set(grants.flatMap(({ actions }) => actions))].join(", ");
}
