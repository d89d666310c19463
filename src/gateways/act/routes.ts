import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { pathForLog } from "../../platform/http/bearer.ts";
import type { UpstreamRequest } from "../../platform/http/upstream.ts";
import { refuseMethod, serve, type Handler } from "../../platform/http/server.ts";
import type { ActParts, Endpoint } from "./act.ts";
import { attendanceEndpoints } from "./attendance.ts";
import { requireTenant, tenantOf } from "./caller.ts";
import { readEndpoints } from "./reads.ts";
import { writeEndpoints } from "./writes.ts";

/** Everything that a tenant may ask. What is not here is refused by name. */
export const ENDPOINTS: readonly Endpoint[] = [...attendanceEndpoints, ...readEndpoints, ...writeEndpoints];

/** The client-server API below both names that clients use for it; r0 is what it was called before spec v1.1. */
const PREFIXES = ["/_matrix/client/v3", "/_matrix/client/r0"];

/** The Act API on the gateway: the client-server API for tenants. */
export function actRoutes(server: FastifyInstance, parts: ActParts): void {
  const handlersOf = new Map<string, Partial<Record<Endpoint["method"], Handler>>>();
  for (const endpoint of ENDPOINTS) {
    const handlers = handlersOf.get(endpoint.path) ?? {};
    handlers[endpoint.method] = handle(endpoint, parts);
    handlersOf.set(endpoint.path, handlers);
  }
  const otherwise: Handler = async (request, reply) => {
    if (parts.frontDoor && tenantOf(request, parts.tenants) === null) return passOn(parts, request, reply);
    requireTenant(request, parts.tenants);
    parts.count("refused");
    return refuseMethod(request, reply);
  };
  for (const prefix of PREFIXES) {
    for (const [path, handlers] of handlersOf) serve(server, `${prefix}${path}`, handlers, otherwise);
  }
  // SDKs ask before anything else, without a token, what the server speaks.
  serve(server, "/_matrix/client/versions", {
    GET: async (_request, reply) =>
      parts.upstream.asCaller({ method: "GET", path: "/_matrix/client/versions", headers: {}, body: null }, reply),
  });
  server.setNotFoundHandler(async (request, reply) => {
    if (parts.frontDoor && tenantOf(request, parts.tenants) === null) return passOn(parts, request, reply);
    const tenant = requireTenant(request, parts.tenants);
    parts.count("refused");
    throw new EmissaryError(
      "unrecognized",
      `${request.method} ${pathForLog(request.url)} is not part of what a tenant (${tenant.id}) may ask.`,
    );
  });
}

function handle(endpoint: Endpoint, parts: ActParts): Handler {
  return async (request, reply) => {
    if (parts.frontDoor && tenantOf(request, parts.tenants) === null) return passOn(parts, request, reply);
    try {
      const tenant = requireTenant(request, parts.tenants);
      const answer = await endpoint.handler(parts, tenant, request, reply);
      parts.count(endpoint.how);
      return answer;
    } catch (error) {
      if (error instanceof EmissaryError) parts.count("refused");
      throw error;
    }
  };
}

async function passOn(parts: ActParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return parts.upstream.asCaller(
    {
      method: request.method as UpstreamRequest["method"],
      path: request.raw.url ?? "/",
      headers: request.headers,
      body: (request.body ?? null) as UpstreamRequest["body"],
    },
    reply,
  );
}
