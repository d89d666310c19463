import type { FastifyRequest } from "fastify";
import type { Owner } from "../../model/attribution.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isUserId, type UserId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Tenants } from "../../policy/tenants.ts";
import { tokenOf } from "../../http/bearer.ts";
import { queryAll } from "../../http/server.ts";

/** Who asks: a tenant, as one of its users. */
export interface Caller {
  readonly tenant: Tenant;
  /** The tenant's sender, or the persona that it masquerades as (spec, AS API, "Identity assertion"). */
  readonly user: UserId;
}

/** The tenant that a request's token belongs to; null where the token is nobody's here, or there is none. */
export function tenantOf(request: FastifyRequest, tenants: Tenants): Tenant | null {
  const token = tokenOf(request);
  return token === null ? null : tenants.byToken(token);
}

/**
 * @param tenant whose the token is (tenantOf)
 * @throws EmissaryError `missing-token`; `unrecognized` for a token that is no tenant's; `forbidden` for a user that is not the tenant's
 */
export function requireCaller(request: FastifyRequest, tenants: Tenants, tenant: Tenant | null): Caller {
  if (tenant === null) {
    if (tokenOf(request) === null) {
      throw new EmissaryError("missing-token", "The request has no token: the as_token of a tenant is expected.");
    }
    // It may be a good one of a user, who is not to be logged out because a proxy sends too much here.
    throw new EmissaryError("unrecognized", "This is for tenants here, and the token is not one of theirs.");
  }
  const [asked, ...more] = queryAll(request, "user_id");
  if (asked === undefined) return { tenant, user: tenant.sender };
  if (more.length > 0) throw new EmissaryError("bad-parameter", "The request names more than one user_id.");
  return { tenant, user: requirePersona(tenants, tenant, asked) };
}

/** A user that a request names as one of the tenant's. @throws EmissaryError `forbidden` */
export function requirePersona(tenants: Tenants, tenant: Tenant, userId: string): UserId {
  if (isUserId(userId) && tenants.isPersona(tenant, userId)) return userId;
  throw new EmissaryError(
    "forbidden",
    `${JSON.stringify(userId)} is neither ${tenant.sender} nor of the namespace of tenant ${tenant.id} (${tenant.users ?? "it has none"}).`,
  );
}

/** What a tenant is told of another tenant's user, by whichever call: no more than of one that is not there. */
export function nobody(userId: UserId): EmissaryError {
  return new EmissaryError("forbidden", `There is no user ${userId} for tenants to invite, remove or give power to.`);
}

/** Whose events are that a caller sends. */
export function ownerOfCaller({ tenant, user }: Caller): Owner {
  return { tenant: tenant.id, persona: user === tenant.sender ? null : user };
}

export function holderOf(tenant: Tenant): Holder {
  return { kind: "tenant", name: tenant.id };
}
