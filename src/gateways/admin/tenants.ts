import { X509Certificate } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { EmissaryError } from "../../model/errors.ts";
import { isTenantId } from "../../model/ids.ts";
import { DEFAULT_ACTIONS, TENANT_ACTIONS, type Grant, type Tenant } from "../../model/tenant.ts";
import { faultInExpression } from "../../platform/expressions.ts";
import { readJson } from "../../platform/http/body.ts";
import { param, serve } from "../../platform/http/server.ts";
import { unpinned } from "../../policy/grants.ts";
import type { AdminParts } from "./admin.ts";
import { deliveryJson } from "./tenant-delivery.ts";

/** Bytes. An event alone has 64 KiB at most, and more as JSON of a transaction; a smaller bound would be one event each. */
const SMALLEST_TRANSACTION = 100_000;
const LARGEST_TRANSACTION = 4 * 1024 * 1024;
const MAX_CA = 48 * 1024;

/** What `createSecureContext` would take, too, but not understand: it reads what certificates it finds and passes over the rest. */
function hasCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== "";
  } catch {
    return false;
  }
}

const settings = {
  url: z.url({ protocol: /^https?$/ }).nullable(),
  users: z
    .string()
    .min(1)
    .superRefine((users, context) => {
      const fault = faultInExpression(users);
      if (fault !== null) context.addIssue({ code: "custom", message: fault });
    })
    .nullable(),
  ephemeral: z.boolean(),
  max_transaction: z.int().min(SMALLEST_TRANSACTION).max(LARGEST_TRANSACTION).nullable(),
  ca: z.string().max(MAX_CA).refine(hasCertificate, "has no certificate in PEM").nullable(),
};

const tenantBody = z.strictObject({
  id: z
    .string()
    .refine(
      isTenantId,
      "is to begin with a letter or digit and to have lower-case letters, digits, `-`, `_` and `.` only, at most 63",
    ),
  url: settings.url.default(null),
  users: settings.users.default(null),
  actions: z
    .array(z.enum(TENANT_ACTIONS))
    .min(1)
    .default([...DEFAULT_ACTIONS]),
  ephemeral: settings.ephemeral.default(false),
  max_transaction: settings.max_transaction.default(null),
  ca: settings.ca.default(null),
});
const settingsBody = z.strictObject(settings).partial();

export function tenantRoutes(server: FastifyInstance, base: string, parts: AdminParts): void {
  serve(server, `${base}/tenants`, {
    GET: async () => ({ tenants: await Promise.all(parts.tenants.all().map((tenant) => tenantJson(parts, tenant))) }),
    POST: async (request) => {
      const body = tenantBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) throw faultsIn("A tenant cannot be made of this", body.error);
      const { max_transaction: maxTransaction, ...wish } = body.data;
      const { tenant, tokens } = await parts.tenants.add({ ...wish, maxTransaction });
      return { tenant: await tenantJson(parts, tenant), registration: parts.registrationOf(tenant, tokens) };
    },
  });

  serve(server, `${base}/tenants/:id`, {
    GET: async (request) => {
      const tenant = parts.tenants.byId(param(request, "id"));
      if (tenant === null) throw new EmissaryError("not-found", "There is no such tenant.");
      return tenantJson(parts, tenant);
    },
    DELETE: async (request) => {
      const { leasesEnded } = await parts.tenants.remove(param(request, "id"));
      parts.desk.changed.notify();
      return { removed: true, leases_ended: leasesEnded };
    },
  });

  serve(server, `${base}/tenants/:id/set`, {
    POST: async (request) => {
      const body = settingsBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) throw faultsIn("This cannot be set", body.error);
      const { max_transaction: maxTransaction, ...changes } = body.data;
      const more = maxTransaction === undefined ? {} : { maxTransaction };
      return tenantJson(parts, await parts.tenants.set(param(request, "id"), { ...defined(changes), ...more }));
    },
  });

  serve(server, `${base}/tenants/:id/rotate`, {
    POST: async (request) => {
      const { tenant, tokens } = await parts.tenants.rotate(param(request, "id"));
      return { tenant: await tenantJson(parts, tenant), registration: parts.registrationOf(tenant, tokens) };
    },
  });
}

function faultsIn(what: string, { issues }: z.ZodError): EmissaryError {
  const faults = issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  return new EmissaryError("bad-request", `${what}: ${faults.join("; ")}.`);
}

/** Without the keys that are there and undefined. */
function defined<T extends object>(given: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

export async function tenantJson(parts: AdminParts, tenant: Tenant): Promise<Readonly<Record<string, unknown>>> {
  const rooms = await parts.leases.presentRoomsOf({ kind: "tenant", name: tenant.id });
  return {
    id: tenant.id,
    sender: tenant.sender,
    url: tenant.url,
    users: tenant.users,
    grants: tenant.grants.map(grantJson),
    // Users that another tenant's namespace has, too, or may have: they are of the tenant that was added first.
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

/** Of a grant by aliases also which rooms these stand for (`stands_for`); one that stands for none covers nothing. */
function grantJson(grant: Grant): Readonly<Record<string, unknown>> {
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
