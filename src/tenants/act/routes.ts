import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomId } from "../../model/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import { pathForLog, tokenOf } from "../../http/bearer.ts";
import { refuseMethod, type Handler } from "../../http/server.ts";
import { CLIENT_V3 } from "../../http/client-paths.ts";
import type { ActParts, Endpoint } from "./act.ts";
import { accountDataEndpoints } from "./users/account-data.ts";
import { aliasEndpoints } from "./rooms/aliases.ts";
import { attendanceEndpoints } from "./users/attendance.ts";
import { requireCaller } from "./access.ts";
import { READ_COST, WRITE_COST } from "./checks/rate.ts";
import { encryptionEndpoints } from "./services/encryption.ts";
import { ephemeralEndpoints } from "./users/ephemeral.ts";
import { mediaEndpoints } from "./services/media.ts";
import { memberEndpoints } from "./users/members.ts";
import { membershipEndpoints } from "./users/membership.ts";
import { miscEndpoints } from "./services/misc.ts";
import { personaEndpoints } from "./users/personas.ts";
import { readEndpoints } from "./events/reads.ts";
import { roomEndpoints } from "./rooms/rooms.ts";
import { syncEndpoints } from "../sync/endpoints.ts";
import { writeEndpoints } from "./events/writes.ts";

/** All endpoints for tenants. Others are refused by name. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...personaEndpoints,
  ...attendanceEndpoints,
  ...membershipEndpoints,
  ...memberEndpoints,
  ...readEndpoints,
  ...writeEndpoints,
  ...syncEndpoints,
  ...ephemeralEndpoints,
  ...roomEndpoints,
  ...aliasEndpoints,
  ...mediaEndpoints,
  ...accountDataEndpoints,
  ...encryptionEndpoints,
  ...miscEndpoints,
];

/** Builds the Act API for the gateway: the handlers, and the refusal of everything else. */
export function actSurface(parts: ActParts) {
  const whose = whoseTokens(parts);
  const handlers = new Map<string, Partial<Record<Endpoint["method"], Handler>>>();
  for (const endpoint of ENDPOINTS) {
    for (const prefix of endpoint.under ?? CLIENT_V3) {
      const path = `${prefix}${endpoint.path}`;
      const known = handlers.get(path) ?? {};
      known[endpoint.method] = handle(endpoint, parts, whose);
      handlers.set(path, known);
    }
  }
  // SDKs ask for the server's versions first, with or without a token.
  handlers.set("/_matrix/client/versions", {
    GET: async (_request, reply) =>
      parts.upstream.asCaller({ method: "GET", path: "/_matrix/client/versions", headers: {}, body: null }, reply),
  });
  const method: Handler = async (request, reply) => {
    requireCaller(request, parts.tenants, whose(request));
    parts.count("refused");
    return refuseMethod(request, reply);
  };
  const path: Handler = async (request) => {
    const { tenant } = requireCaller(request, parts.tenants, whose(request));
    parts.count("refused");
    const asked = `${request.method} ${pathForLog(request.url)}`;
    const error = new EmissaryError("unrecognized", `${asked} is not part of what a tenant (${tenant.id}) may ask.`);
    parts.refusals.note({ tenant: tenant.id, request: patternOf(asked), roomId: null }, error);
    throw error;
  };
  return { handlers, whose: (request: FastifyRequest) => whose(request)?.id ?? null, refuse: { path, method } };
}

/** Replaces what looks particular in a request: IDs, aliases, and segments of more than 32 characters. */
export function patternOf(asked: string): string {
  return asked
    .slice(0, 300)
    .replace(/\/(?:[!@#$]|%(?:21|40|23|24))[^/]*/gi, "/…")
    .replace(/\/[^/]{33,}/g, "/…");
}

type Whose = (request: FastifyRequest) => Tenant | null;

/** Finds the tenant of a request's token, looked up once for the door and the handler. */
function whoseTokens({ tenants }: ActParts): Whose {
  const known = new WeakMap<FastifyRequest, Tenant | null>();
  return (request) => {
    const token = known.has(request) ? null : tokenOf(request);
    const tenant = known.get(request) ?? (token === null ? null : tenants.byToken(token));
    known.set(request, tenant);
    return tenant;
  };
}

function handle({ method, path, how, handler }: Endpoint, parts: ActParts, whose: Whose): Handler {
  const cost = method === "GET" ? READ_COST : WRITE_COST;
  return async (request, reply) => {
    try {
      const caller = requireCaller(request, parts.tenants, whose(request));
      parts.rates.spend(caller.tenant.id, cost);
      const answer = await handler({ parts, ...caller, request, reply });
      parts.count(how);
      return answer;
    } catch (error) {
      if (error instanceof EmissaryError) {
        parts.count("refused");
        const tenant = whose(request)?.id;
        const { roomId, roomIdOrAlias } = request.params as Readonly<Record<string, string | undefined>>;
        const room = roomId ?? roomIdOrAlias ?? "";
        const refused = { request: `${method} ${path}`, roomId: isRoomId(room) ? room : null };
        if (tenant !== undefined) parts.refusals.note({ tenant, ...refused }, error);
      }
      throw error;
    }
  };
}
