import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import type { Holder } from "../../model/lease.ts";
import type { Tenant, TenantAction } from "../../model/tenant.ts";
import type { Tenants } from "../../policy/tenants.ts";
import { tokensOf } from "../../platform/http/bearer.ts";
import { queryAll } from "../../platform/http/server.ts";

/** The tenant that a request's token belongs to; null where the token is nobody's here, or there is none. */
export function tenantOf(request: FastifyRequest, tenants: Tenants): Tenant | null {
  const { header, query } = tokensOf(request.raw);
  const token = header ?? query;
  return token === null ? null : tenants.byToken(token);
}

/** @throws EmissaryError `missing-token` or `unknown-token`, or `forbidden` for a user that the tenant is not. */
export function requireTenant(request: FastifyRequest, tenants: Tenants): Tenant {
  const tenant = tenantOf(request, tenants);
  if (tenant === null) {
    const { header, query } = tokensOf(request.raw);
    if (header === null && query === null) {
      throw new EmissaryError("missing-token", "The request has no token: the as_token of a tenant is expected.");
    }
    throw new EmissaryError(
      "unknown-token",
      "The token is not that of a tenant: `emissary tenant list` shows the tenants.",
    );
  }
  for (const asked of queryAll(request, "user_id")) {
    if (asked !== tenant.sender) {
      throw new EmissaryError(
        "forbidden",
        `Tenant ${tenant.id} acts as ${tenant.sender} only; acting as ${JSON.stringify(asked)} is not supported.`,
      );
    }
  }
  return tenant;
}

export function holderOf(tenant: Tenant): Holder {
  return { kind: "tenant", name: tenant.id };
}

/** @throws EmissaryError `forbidden` naming what is missing. */
export function requireAction(tenant: Tenant, action: TenantAction): void {
  if (!tenant.actions.includes(action)) {
    throw new EmissaryError(
      "forbidden",
      `Tenant ${tenant.id} may not ${action}: it was added with ${tenant.actions.join(", ")}.`,
    );
  }
}
