import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { isUserId, type RoomId, type UserId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
import type { Room } from "../../model/room.ts";
import type { Tenant, TenantAction } from "../../model/tenant.ts";
import { roomIdFrom } from "../../attendance/leases/target.ts";
import { isOpen, opennessOf } from "../../policy/openness.ts";
import { goesByAlias, refusalFor, type Deed } from "../../policy/permit.ts";
import type { Tenants } from "../../policy/tenants.ts";
import { tokenOf } from "../../http/bearer.ts";
import { param, queryAll } from "../../http/server.ts";
import type { Call, Caller } from "./act.ts";

/** @param tenant the owner of the request's token @throws EmissaryError if the caller is not a tenant's user */
export function requireCaller(request: FastifyRequest, tenants: Tenants, tenant: Tenant | null): Caller {
  if (tenant === null) {
    if (tokenOf(request) === null) {
      throw new EmissaryError("missing-token", "The request has no token: the as_token of a tenant is expected.");
    }
    // It may be a user's valid token: a proxy that sends too much here must not log the user out.
    throw new EmissaryError("unrecognized", "This is for tenants here, and the token is not one of theirs.");
  }
  const [asked, ...more] = queryAll(request, "user_id");
  if (asked === undefined) return { tenant, user: tenant.sender };
  if (more.length > 0) throw new EmissaryError("bad-parameter", "The request names more than one user_id.");
  return { tenant, user: requirePersona(tenants, tenant, asked) };
}

/** Returns the user if it is the tenant's. @throws EmissaryError `forbidden`, or another code */
export function requirePersona(
  tenants: Tenants,
  tenant: Tenant,
  userId: string,
  code: "forbidden" | "not-in-namespace" = "forbidden",
): UserId {
  if (isUserId(userId) && tenants.isPersona(tenant, userId)) return userId;
  throw new EmissaryError(
    code,
    `${JSON.stringify(userId)} is neither ${tenant.sender} nor of the namespace of tenant ${tenant.id} (${tenant.users ?? "it has none"}).`,
  );
}

export function personasOf({ parts, tenant }: Call): (userId: UserId) => boolean {
  return (userId) => parts.tenants.isPersona(tenant, userId);
}

/** The error for another tenant's user in all calls. It does not reveal that the user exists. */
export function nobody(userId: UserId): EmissaryError {
  return new EmissaryError("forbidden", `There is no user ${userId} for tenants to invite, remove or give power to.`);
}

export function holderOf(tenant: Tenant): Holder {
  return { kind: "tenant", name: tenant.id };
}

/** Returns the room of the request's path, as requireDeed does. */
export async function requireRoom(call: Call, action: TenantAction, type?: string): Promise<Room> {
  return requireDeed(call, roomIdFrom(param(call.request, "roomId")), action, type);
}

/**
 * Returns the room if the tenant has a lease there, the pseudouser is in it, and the operator allows the action. The
 * pseudouser may be there for others: without a lease a tenant sees nothing of the room.
 * @param type the event type, for `send`, `state` and `room-state`
 * @throws EmissaryError `no-lease`, `forbidden`
 */
export async function requireDeed(
  { parts: { leases, ledger, aliases }, tenant }: Call,
  roomId: RoomId,
  action: TenantAction,
  type: string | null = null,
): Promise<Room> {
  const lease = await leases.find(roomId, holderOf(tenant));
  if (lease === null) {
    const end = await leases.lastEnd(roomId, holderOf(tenant));
    throw new EmissaryError(
      "no-lease",
      end === null || end === "released"
        ? `Tenant ${tenant.id} is not in ${roomId}: join it first.`
        : `Tenant ${tenant.id} is no longer in ${roomId} (${end}).`,
      end === null ? {} : { reason: end },
    );
  }
  const room = await ledger.room(roomId);
  if (room?.ownMembership !== "join") {
    throw new EmissaryError("no-lease", `The pseudouser is not yet in ${roomId}; the join is under way.`, {
      reason: "joining",
    });
  }
  const asked = lease.alias !== null && goesByAlias(tenant, lease.alias) ? lease.alias : null;
  const alias = asked !== null && (await aliases.pointing(asked, roomId, true)) === "there" ? asked : null;
  const granted = { id: roomId, alias, isPublic: isOpen(opennessOf(room)) };
  requirePermission(tenant, { action, room: granted, type, createdFor: room.createdFor });
  return room;
}

/** The same if any one of several actions is enough. @throws EmissaryError why the first is not allowed */
export async function requireAnyDeed(call: Call, roomId: RoomId, actions: readonly TenantAction[]): Promise<void> {
  let first: unknown = null;
  for (const action of actions) {
    try {
      await requireDeed(call, roomId, action);
      return;
    } catch (error) {
      if (!(error instanceof EmissaryError) || error.reason !== "not-allowed") throw error;
      first ??= error;
    }
  }
  throw first;
}

/** For actions outside existing rooms: making rooms and their aliases. @throws EmissaryError `forbidden` */
export function requireAction({ tenant }: Caller, action: TenantAction): void {
  requirePermission(tenant, { action, room: null, type: null, createdFor: null });
}

function requirePermission(tenant: Tenant, deed: Deed): void {
  const refusal = refusalFor(tenant, deed);
  if (refusal === null) return;
  const what = deed.room === null ? deed.action : `${deed.action} in ${deed.room.id}`;
  throw new EmissaryError(
    "forbidden",
    `Tenant ${tenant.id} may not ${what}: ${refusal}. The operator can allow it (emissary tenant allow).`,
    { reason: "not-allowed" },
  );
}
