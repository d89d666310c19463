import type { TenantId, UserId } from "../../src/model/ids.ts";
import { ANY_ROOM, DEFAULT_ACTIONS, type Tenant } from "../../src/model/tenant.ts";

/** A tenant of ours.example that may read and write in public rooms. */
export function tenant(id: string, more: Partial<Tenant> = {}): Tenant {
  return {
    id: id as TenantId,
    sender: `@_emissary_${id}:ours.example` as UserId,
    url: null,
    users: null,
    grants: [{ rooms: [ANY_ROOM], actions: DEFAULT_ACTIONS, types: null, source: "operator" }],
    ephemeral: false,
    pausedAt: null,
    createdAt: 0,
    ...more,
  };
}

/** Whoever is asked for is a tenant, and may do what is the default. */
export const ANYBODY = { byId: (id: string): Tenant => tenant(id) };
