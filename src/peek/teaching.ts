import { tokenOf } from "../http/bearer.ts";
import type { Upstream } from "../http/upstream.ts";
import { routesOfLinks } from "./links.ts";
import type { PeekEndpoint, PeekHandler } from "./peek.ts";
import { revising } from "./revising.ts";
import type { RoutesMemory } from "./routes-memory.ts";

/** Endpoints whose answers contain messages, which link to rooms. */
const TAUGHT: ReadonlySet<string> = new Set([
  "/rooms/:roomId/initialSync",
  "/rooms/:roomId/messages",
  "/rooms/:roomId/context/:eventId",
  "/rooms/:roomId/event/:eventId",
  "/events",
  "/sync",
]);
/** Most bytes held of an answer that nothing else examines. */
const LIMIT = 256 * 1024;

/** Returns a handler that learns routes from links in its answers. Only the search for links delays an answer. */
export function teaching({ path, handler }: Pick<PeekEndpoint, "path" | "handler">): PeekHandler {
  if (!TAUGHT.has(path)) return handler;
  return (parts, request, reply) => {
    if (tokenOf(request) === null) return handler(parts, request, reply);
    return handler({ ...parts, upstream: taught(parts.upstream, parts.routes) }, request, reply);
  };
}

function taught(upstream: Upstream, routes: RoutesMemory): Upstream {
  return revising(upstream, (inner) => ({
    limit: LIMIT,
    ...inner,
    revise: (body) => {
      for (const [roomId, via] of routesOfLinks(body)) routes.hint(roomId, via);
      return inner === undefined ? null : inner.revise(body);
    },
  }));
}
