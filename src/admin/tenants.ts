import { EmissaryError } from "../model/errors.ts";
import type { Grant, GrantPin, Tenant } from "../model/tenant.ts";
import { unpinned } from "../policy/grants.ts";
import { isOneAlias } from "../policy/pins.ts";
import type { AdminParts } from "./admin.ts";
import type { TenantAnswer } from "./api/tenants.ts";
import type { Handlers, Handler } from "./handlers.ts";
import { roomToStandFor } from "./policy.ts";
import type { Stuck } from "../tenants/store/deliveries.ts";
import { isEventId } from "../model/ids.ts";
import type { AdminEndpoints } from "./api/endpoints.ts";

export function tenantHandlers(parts: AdminParts): Handlers<Extract<keyof AdminEndpoints, `tenant${string}`>> {
  const pausing =
    (isPaused: boolean): Handler<AdminEndpoints["tenantPause"]> =>
    async ({ params }) => {
      const { id, pausedAt } = await parts.tenants.pause(params.id, isPaused);
      return { tenant: id, paused_at: pausedAt };
    };
  return {
    async tenants() {
      return { tenants: await Promise.all(parts.tenants.all().map((tenant) => tenantJson(parts, tenant))) };
    },
    tenant: ({ params: { id } }) => tenantJson(parts, tenantOf(parts, id)),
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
    tenantPause: pausing(true),
    tenantResume: pausing(false),
    async tenantReplay({ params, body }) {
      const tenant = reachable(parts, params.id);
      const replayed = await parts.deliveries.replay(
        tenant,
        "from_seq" in body ? { seq: body.from_seq } : { at: body.from_at },
      );
      if (replayed === null) throw new EmissaryError("not-found", "The tenant was removed meanwhile.");
      if (replayed.kind === "done") return { tenant: tenant.id, from_seq: replayed.from };
      throw new EmissaryError(
        "bad-request",
        replayed.kind === "gone"
          ? `The journal no longer goes back so far: its oldest event has the number ${replayed.oldest}.`
          : `There is nothing to give again: the next event that ${tenant.id} is to get has the number ${replayed.next}.`,
      );
    },
    async tenantSkip({ params, body: { event_id: eventId } }) {
      const tenant = reachable(parts, params.id);
      const skipped = isEventId(eventId) ? await parts.deliveries.skip(tenant, eventId) : null;
      if (skipped !== null) return { tenant: tenant.id, skipped: stuckJson(skipped) };
      const stuck = (await parts.deliveries.report(tenant))?.stuck ?? null;
      throw new EmissaryError(
        "bad-request",
        stuck === null
          ? `The tenant ${tenant.id} is stuck at no event that could be skipped.`
          : `The tenant ${tenant.id} is stuck at ${stuck.eventId}, and not at ${JSON.stringify(eventId)}.`,
      );
    },
    async tenantPing({ params }) {
      const outcome = await parts.pinger.ping(reachable(parts, params.id), null);
      if (outcome.ok) return { ok: true, ms: outcome.ms };
      const { why, status, sentence } = outcome;
      return { ok: false, why, status, sentence };
    },
  };
}

type Delivery = NonNullable<TenantAnswer["delivery"]>;

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
function defined<T extends object>(given: T) {
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

/** Returns a tenant's deliveries in the API's form; null for a tenant without a URL. */
async function deliveryJson({ deliveries }: AdminParts, tenant: Tenant): Promise<Delivery | null> {
  const report = await deliveries.report(tenant);
  if (report === null) return null;
  const { lag, oldestAt, lastSuccessAt, lastFailure, stuck, isFailing } = report;
  const { pausedAt } = tenant;
  const running = isFailing ? "failing" : "flowing";
  const state = stuck === null ? running : "stuck";
  return {
    state: pausedAt === null ? state : "paused",
    lag_events: lag,
    oldest_at: oldestAt,
    last_success_at: lastSuccessAt,
    last_error_at: lastFailure?.at ?? null,
    last_error: lastFailure?.sentence ?? null,
    stuck: stuck && stuckJson(stuck),
    paused_at: pausedAt,
  };
}

function stuckJson({ seq, eventId, roomId, type, bytes, since }: Stuck): NonNullable<Delivery["stuck"]> {
  return { seq, event_id: eventId, room_id: roomId, type, bytes, since };
}

export async function allDeliveriesJson(
  parts: AdminParts,
): Promise<readonly (Delivery & { readonly tenant: string })[]> {
  const all = parts.tenants.all().map(async (tenant) => {
    const delivery = await deliveryJson(parts, tenant);
    return delivery === null ? [] : [{ tenant: tenant.id, ...delivery }];
  });
  return (await Promise.all(all)).flat();
}

function tenantOf({ tenants }: AdminParts, id: string): Tenant {
  const tenant = tenants.byId(id);
  if (tenant === null) throw new EmissaryError("not-found", "There is no such tenant.");
  return tenant;
}

/** Returns the tenant that a path names. It must have a URL. */
function reachable(parts: AdminParts, id: string): Tenant {
  const tenant = tenantOf(parts, id);
  if (tenant.url === null) {
    throw new EmissaryError("bad-request", `The tenant ${tenant.id} has no URL: it fetches its events itself.`);
  }
  return tenant;
}
