import { EmissaryError } from "../model/errors.ts";
import type { Grant, GrantPin, Tenant } from "../model/tenant.ts";
import { unpinned } from "../policy/grants.ts";
import { isOneAlias } from "../policy/pins.ts";
import type { AdminParts } from "./admin.ts";
import type { TenantAnswer } from "./api/tenants.ts";
import type { Handlers } from "./handlers.ts";
import { roomToStandFor } from "./pins.ts";
import { deliveryJson } from "./tenant-delivery.ts";

type Names = "tenants" | "tenant" | "tenantAdd" | "tenantRemove" | "tenantSet" | "tenantRotate" | "tenantAllow";

export function tenantHandlers(parts: AdminParts): Handlers<Names> {
  return {
    async tenants() {
      return { tenants: await Promise.all(parts.tenants.all().map((tenant) => tenantJson(parts, tenant))) };
    },
    async tenant({ params: { id } }) {
      const tenant = parts.tenants.byId(id);
      if (tenant === null) throw new EmissaryError("not-found", "There is no such tenant.");
      return tenantJson(parts, tenant);
    },
    async tenantAdd({ body: { max_transaction: maxTransaction, ...wish } }) {
      const { tenant, tokens } = await parts.tenants.add({ ...wish, maxTransaction });
      return { tenant: await tenantJson(parts, tenant), registration: parts.registrationOf(tenant, tokens) };
    },
    async tenantRemove({ params: { id } }) {
      const { leasesEnded } = await parts.tenants.remove(id);
      parts.desk.changed.notify();
      return { removed: true, leases_ended: leasesEnded };
    },
    async tenantSet({ params: { id }, body: { max_transaction: maxTransaction, ...changes } }) {
      return tenantJson(parts, await parts.tenants.set(id, defined({ ...changes, maxTransaction })));
    },
    async tenantRotate({ params: { id } }) {
      const { tenant, tokens } = await parts.tenants.rotate(id);
      return { tenant: await tenantJson(parts, tenant), registration: parts.registrationOf(tenant, tokens) };
    },
    async tenantAllow({ params: { id }, body: { only, ...grant } }) {
      const pins = await pinsOf(parts, grant.rooms);
      const given: Grant = { ...grant, source: "operator", ...(pins.length === 0 ? {} : { pins }) };
      return tenantJson(parts, await parts.tenants.allow(id, given, only));
    },
  };
}

/**
 * Returns the room that each alias without a wildcard points to now. Throws, and so grants nothing, if one is unknown.
 */
async function pinsOf({ aliases, clock }: AdminParts, rooms: readonly string[]): Promise<readonly GrantPin[]> {
  const pins: GrantPin[] = [];
  for (const alias of new Set(rooms.filter(isOneAlias))) {
    pins.push({ alias, roomId: await roomToStandFor(aliases, alias), at: clock.now(), moved: null });
  }
  return pins;
}

/** Removes keys with the value undefined. */
function defined<T extends object>(given: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

async function tenantJson(parts: AdminParts, tenant: Tenant): Promise<TenantAnswer> {
  const rooms = await parts.leases.presentRoomsOf({ kind: "tenant", name: tenant.id });
  return {
    id: tenant.id,
    sender: tenant.sender,
    url: tenant.url,
    users: tenant.users,
    grants: tenant.grants.map(grantJson),
    // Users that may be in another tenant's namespace, too. They belong to the tenant added first.
    overlaps: parts.tenants.overlapsOf(tenant).map(({ tenant: other, user, isFirst }) => ({
      tenant: other,
      user_id: user,
      theirs: isFirst,
    })),
    users_fault: parts.tenants.faultIn(tenant),
    ephemeral: tenant.ephemeral,
    max_transaction: tenant.maxTransaction,
    ca: tenant.ca,
    paused_at: tenant.pausedAt,
    created_at: tenant.createdAt,
    leases: rooms.length,
    sync_anew: parts.missedBy(tenant.id),
    delivery: await deliveryJson(parts, tenant),
  };
}

/** Describes a grant, with the rooms of its aliases (`stands_for`). An alias without a room covers nothing. */
function grantJson(grant: Grant): TenantAnswer["grants"][number] {
  const { rooms, actions, types, source, pins = [] } = grant;
  const standing = pins.map(({ alias, roomId, at, moved }) => ({
    alias,
    room_id: roomId,
    since: at,
    moved_to: moved?.to ?? null,
    moved_at: moved?.at ?? null,
  }));
  const none = unpinned(grant).map((alias) => ({ alias, room_id: null, since: null, moved_to: null, moved_at: null }));
  const all = [...standing, ...none];
  return { rooms, actions, types, source, ...(all.length === 0 ? {} : { stands_for: all }) };
}
