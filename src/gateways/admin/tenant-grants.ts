import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { EmissaryError } from "../../model/errors.ts";
import { ANY_ROOM, DEFAULT_ACTIONS, TENANT_ACTIONS, type Grant, type GrantPin } from "../../model/tenant.ts";
import { readJson } from "../../platform/http/body.ts";
import { param, serve } from "../../platform/http/server.ts";
import { faultsInRooms, faultsInTypes } from "../../policy/grants.ts";
import { isOneAlias } from "../../policy/pins.ts";
import type { AdminParts } from "./admin.ts";
import { roomToStandFor } from "./pins.ts";
import { tenantJson } from "./tenants.ts";

/** Patterns for which `faultsIn` finds sentences of complaint. */
function patterns(faultsIn: (patterns: readonly string[]) => string[]) {
  return z.array(z.string()).superRefine((given, context) => {
    for (const message of faultsIn(given)) context.addIssue({ code: "custom", message: `(${message})` });
  });
}

const grantBody = z.strictObject({
  rooms: patterns(faultsInRooms).default([ANY_ROOM]),
  actions: z
    .array(z.enum(TENANT_ACTIONS))
    .min(1)
    .transform((actions) => [...new Set(actions)])
    .default([...DEFAULT_ACTIONS]),
  types: patterns(faultsInTypes).nullable().default(null),
  only: z.boolean().default(false),
});

/** For each alias without a wildcard the room that it points to now. Nothing is granted where that is not known of one. */
async function pinsOf({ aliases, clock }: AdminParts, rooms: readonly string[]): Promise<readonly GrantPin[]> {
  const pins: GrantPin[] = [];
  for (const alias of new Set(rooms.filter(isOneAlias))) {
    pins.push({ alias, roomId: await roomToStandFor(aliases, alias), at: clock.now(), moved: null });
  }
  return pins;
}

/** What the operator allows a tenant, beside what it was added with. */
export function tenantGrantRoutes(server: FastifyInstance, base: string, parts: AdminParts): void {
  serve(server, `${base}/tenants/:id/grants`, {
    POST: async (request) => {
      const body = grantBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) {
        const issues = body.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
        throw new EmissaryError("bad-request", `A tenant cannot be allowed this: ${issues.join("; ")}.`);
      }
      const { only, ...grant } = body.data;
      const pins = await pinsOf(parts, grant.rooms);
      const given: Grant = { ...grant, source: "operator", ...(pins.length === 0 ? {} : { pins }) };
      const tenant = await parts.tenants.allow(param(request, "id"), given, only);
      return tenantJson(parts, tenant);
    },
  });
}
