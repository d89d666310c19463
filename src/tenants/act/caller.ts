import type { FastifyRequest } from "fastify";
import type { Owner } from "../../model/attribution.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isUserId, type UserId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Tenants } from "../../policy/tenants.ts";
import { tokenOf } from "../../http/bearer.ts";
import { queryAll } from "../../http/server.ts";

/** The caller: a tenant acting as one of its users. */
export interface Caller {
  readonly tenant: Tenant;
  /** The tenant's sender, or the persona that it masquerades as (spec, AS API, "Identity assertion"). */
  readonly user: UserId;
}

/** Returns the tenant of a request's token; null if there is no token or it is unknown. */
export function tenantOf(request: FastifyRequest, tenants: Tenants): Tenant | null {
  const token = tokenOf(request);
  return token === null ? null : tenants.byToken(token);
}

/**
 * @param tenant the token's owner (tenantOf)
 * @throws EmissaryError `missing-token`; `unrecognized` for an unknown token; `forbidden` if the user is not the
 * tenant's; `bad-parameter` for several users
 */
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

/** Returns the user if it is the tenant's. @throws EmissaryError `forbidden` */
export function requirePersona(tenants: Tenants, tenant: Tenant, userId: string): UserId {
  if (isUserId(userId) && tenants.isPersona(tenant, userId)) return userId;
  throw new EmissaryError(
    "forbidden",
    `${JSON.stringify(userId)} is neither ${tenant.sender} nor of the namespace of tenant ${tenant.id} (${tenant.users ?? "it has none"}).`,
  );
}

/** The error for another tenant's user in all calls. It does not reveal that the user exists. */
export function nobody(userId: UserId): EmissaryError {
  return new EmissaryError("forbidden", `There is no user ${userId} for tenants to invite, remove or give power to.`);
}

/** Returns the owner of the events that a caller sends. */
export function ownerOfCaller({ tenant, user }: Caller): Owner {
  return { tenant: tenant.id, persona: user === tenant.sender ? null : user };
}

export function holderOf(tenant: Tenant): Holder {
  return { kind: "tenant", name: tenant.id };
}
