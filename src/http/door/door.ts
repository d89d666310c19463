import type { FastifyInstance, FastifyRequest } from "fastify";
import { isClientTarget } from "../target.ts";
import { upstreamRequest, type Upstream } from "../upstream.ts";
import type { Admission } from "./admission.ts";
import { refuseMethod, refusePath, serve, type Handler, type Method } from "../server.ts";

/** One API of the gateway: what one group of callers may request. */
export interface Surface {
  readonly handlers: ReadonlyMap<string, Partial<Record<Method, Handler>>>;
}

export interface DoorParts {
  /** For tenants. Also refuses other callers what only tenants have. */
  readonly tenants: Surface & {
    /** Returns the ID of the tenant that makes the request; null for another caller. */
    readonly whose: (request: FastifyRequest) => string | null;
    readonly refuse: { readonly path: Handler; readonly method: Handler };
  };
  readonly users: Surface;
  /** For everything else: passes it on to the homeserver. Null if these requests are refused. */
  readonly passOn: Handler | null;
  readonly admission: Admission;
}

/** A header of every answer. `emissary doctor` sees by it which public paths of the homeserver lead here. */
export const MARK = { name: "x-emissary", value: "gateway" } as const;

/** Headers that let browsers read an answer (spec, CS API, "Web Browser Clients"). */
export const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
  "access-control-allow-headers": "X-Requested-With, Content-Type, Authorization, Date",
} as const;

/**
 * Serves the gateway: the client-server API on one port. The token decides which API a request is for. A path that
 * users have no API for should not have come from the reverse proxy: it is passed on or refused.
 */
export function doorRoutes(server: FastifyInstance, { tenants, users, passOn, admission }: DoorParts): void {
  server.addHook("onSend", (_request, reply, _payload, done) => {
    for (const [name, value] of Object.entries(CORS)) if (!reply.hasHeader(name)) void reply.header(name, value);
    void reply.header(MARK.name, MARK.value);
    done();
  });
  server.addHook("onRequest", async (request, reply) => {
    // Also for known paths: a room ID may contain more than the router sees.
    if (tenants.whose(request) === null && !isClientTarget(request.raw.url ?? "")) await refusePath(request, reply);
  });
  const onward = passOn === null ? null : admission.other(passOn);
  // Refuses users tenants' paths like unknown paths: at "unknown token" clients forget session and keys.
  const others = (otherwise: Handler): Handler => onward ?? admission.other(otherwise, true);
  for (const path of new Set([...tenants.handlers.keys(), ...users.handlers.keys()])) {
    const forTenants = handlersAt(tenants, path);
    const forUsers = handlersAt(users, path);
    const handlers: Partial<Record<Method, Handler>> = {};
    for (const method of new Set([...methodsOf(forTenants), ...methodsOf(forUsers)])) {
      const tenant = forTenants?.[method] ?? (forTenants === undefined ? tenants.refuse.path : tenants.refuse.method);
      const own = forUsers?.[method];
      const user = own === undefined ? others(forUsers === undefined ? tenant : refuseMethod) : admission.other(own);
      handlers[method] = (request, reply) => {
        const id = tenants.whose(request);
        return id === null ? user(request, reply) : admission.tenant(id, tenant, request, reply);
      };
    }
    const { method: refuse } = tenants.refuse;
    const notTheirs = others(forUsers === undefined ? refuse : refuseMethod);
    serve(server, path, handlers, (request, reply) =>
      (tenants.whose(request) === null ? notTheirs : refuse)(request, reply),
    );
  }
  // Requested without a token. Best absent: callers of the gateway are given its address.
  serve(server, "/.well-known/matrix/client", { GET: onward ?? refusePath });
  server.setNotFoundHandler((request, reply) => {
    const { path: refuse } = tenants.refuse;
    // A browser's preflight has no token, and the homeserver has nothing to add.
    if (request.method === "OPTIONS") return reply.code(204).send();
    if (tenants.whose(request) !== null) return refuse(request, reply);
    return (onward ?? refusePath)(request, reply);
  });
}

/**
 * Returns an API's handlers for the other API's spelling of a path. The router would take
 * `/state/m.room.member/:userId` before `/state/:eventType/:stateKey` for both.
 */
function handlersAt({ handlers }: Surface, path: string): Partial<Record<Method, Handler>> | undefined {
  const exact = handlers.get(path);
  if (exact !== undefined) return exact;
  const segments = path.split("/");
  const covers = (pattern: string): boolean => {
    const parts = pattern.split("/");
    return parts.length === segments.length && parts.every((part, at) => part.startsWith(":") || part === segments[at]);
  };
  const pattern = [...handlers.keys()].find(covers);
  return pattern === undefined ? undefined : handlers.get(pattern);
}

function methodsOf(handlers: Partial<Record<Method, Handler>> | undefined): readonly Method[] {
  return Object.keys(handlers ?? {}) as Method[];
}

export function passOnTo(upstream: Upstream): Handler {
  return (request, reply) => upstream.asCaller(upstreamRequest(request), reply);
}
