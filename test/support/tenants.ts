import type { TenantId, UserId } from "../../src/model/ids.ts";
import type { Viewer } from "../../src/model/persona.ts";
import { ANY_ROOM, DEFAULT_ACTIONS, type Tenant } from "../../src/model/tenant.ts";
import { OWN } from "./events.ts";

/** A tenant of ours.example that may read and write in public rooms. */
export function tenant(id: string, more: Partial<Tenant> = {}): Tenant {
  return {
    id: id as TenantId,
    sender: `@_emissary_${id}:ours.example` as UserId,
    url: null,
    users: null,
    grants: [{ rooms: [ANY_ROOM], actions: DEFAULT_ACTIONS, types: null, source: "operator" }],
    ephemeral: false,
    maxTransaction: null,
    ca: null,
    pausedAt: null,
    createdAt: 0,
    ...more,
  };
}

/** Eyes of a tenant that has no users but its sender and those that are named. */
export function viewer(of: Tenant, personas: readonly UserId[] = []): Viewer {
  const isPersona = (user: UserId): boolean => user === of.sender || personas.includes(user);
  return { own: OWN, tenant: of, isPersona, isTenants: isPersona };
}

/** Whoever is asked for is a tenant, and may do what is the default. */
export const ANYBODY = { byId: (id: string): Tenant => tenant(id) };
