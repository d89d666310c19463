import type { FastifyInstance, FastifyRequest } from "fastify";
import { isClientTarget } from "./client-target.ts";
import { upstreamRequest, type Upstream } from "../upstream.ts";
import type { Admission } from "./admission.ts";
import { refuseMethod, refusePath, serve, type Handler, type Method } from "../server.ts";

/** One API of the gateway: what some of those who come in may ask. */
export interface Surface {
  /** By path, as a router's pattern, and method. */
  readonly handlers: ReadonlyMap<string, Partial<Record<Method, Handler>>>;
}

export interface DoorParts {
  /** For tenants, and to refuse whoever is none what only they have. */
  readonly tenants: Surface & {
    /** The tenant that asks, by its ID; null for whoever is none. */
    readonly whose: (request: FastifyRequest) => string | null;
    /** For what a tenant may not ask: paths that are not there, methods that they do not have. */
    readonly refuse: { readonly path: Handler; readonly method: Handler };
  };
  /** For users of the homeserver. */
  readonly users: Surface;
  /** For what is neither: on to the homeserver, or null where such requests are refused. */
  readonly passOn: Handler | null;
  readonly admission: Admission;
}

/** Set in every answer: by it `emissary doctor` sees which of the homeserver's public paths come here. */
export const MARK = { name: "x-emissary", value: "gateway" } as const;

/** What a browser needs to be allowed to read an answer (spec, CS API, "Web Browser Clients"). */
export const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
  "access-control-allow-headers": "X-Requested-With, Content-Type, Authorization, Date",
} as const;

/**
 * The gateway: the client-server API on one port. The token tells whose a request is, and so which of its APIs it is for. A user's
 * request for a path that users have no API for, which the reverse proxy should not have sent here, is passed on or refused.
 */
export function doorRoutes(server: FastifyInstance, { tenants, users, passOn, admission }: DoorParts): void {
  server.addHook("onSend", (_request, reply, _payload, done) => {
    for (const [name, value] of Object.entries(CORS)) if (!reply.hasHeader(name)) void reply.header(name, value);
    void reply.header(MARK.name, MARK.value);
    done();
  });
  server.addHook("onRequest", async (request, reply) => {
    // Also where we know the path: in a room's ID there may be more than the router sees.
    if (tenants.whose(request) === null && !isClientTarget(request.raw.url ?? "")) await refusePath(request, reply);
  });
  const onward = passOn === null ? null : admission.other(passOn);
  // What only tenants have is refused as one that is not there: at "unknown token" clients forget session and keys.
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
  // Looked for without a token, and best not there: who is to come here is given the gateway's address.
  serve(server, "/.well-known/matrix/client", { GET: onward ?? refusePath });
  server.setNotFoundHandler((request, reply) => {
    const { path: refuse } = tenants.refuse;
    // A browser's, before any request to us: it has no token, and the homeserver has nothing to add.
    if (request.method === "OPTIONS") return reply.code(204).send();
    if (tenants.whose(request) !== null) return refuse(request, reply);
    return (onward ?? refusePath)(request, reply);
  });
}

/**
 * What an API has for a path that is in the other one's words: `/state/m.room.member/:userId` is to one of them what
 * `/state/:eventType/:stateKey` is to the other, and the router would take the first for both.
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

/** Passes whatever comes on to the homeserver, with the caller's own token. */
export function passOnTo(upstream: Upstream): Handler {
  return (request, reply) => upstream.asCaller(upstreamRequest(request), reply);
}
