import { tokenOf } from "../../platform/http/bearer.ts";
import type { Revision, Upstream } from "../../platform/http/upstream.ts";
import { routesOfLinks } from "./links.ts";
import type { PeekEndpoint, PeekHandler } from "./peek.ts";
import type { RoutesMemory } from "./routes-memory.ts";

/** Answers with people's messages, which link to rooms. */
const TAUGHT: ReadonlySet<string> = new Set([
  "/rooms/:roomId/initialSync",
  "/rooms/:roomId/messages",
  "/rooms/:roomId/context/:eventId",
  "/rooms/:roomId/event/:eventId",
  "/events",
  "/sync",
]);
/** Of an answer that nobody else looks at so much is held. */
const LIMIT = 256 * 1024;

/** A handler whose answers teach routes: their user may follow a link in them. Nobody waits for more than a look for one. */
export function teaching({ path, handler }: Pick<PeekEndpoint, "path" | "handler">): PeekHandler {
  if (!TAUGHT.has(path)) return handler;
  return (parts, request, reply) => {
    if (tokenOf(request) === null) return handler(parts, request, reply);
    return handler({ ...parts, upstream: taught(parts.upstream, parts.routes) }, request, reply);
  };
}

function taught(upstream: Upstream, routes: RoutesMemory): Upstream {
  const revisionOf = (inner: Revision | undefined): Revision => ({
    limit: LIMIT,
    ...inner,
    revise: (body) => {
      for (const [roomId, via] of routesOfLinks(body)) routes.hint(roomId, via);
      return inner === undefined ? null : inner.revise(body);
    },
  });
  return {
    asPseudouser: (request, reply) => upstream.asPseudouser(request, reply),
    revised: (request, reply, revision) => upstream.revised(request, reply, revision),
    rewritten: (request, reply, rewriting) => upstream.rewritten(request, reply, rewriting),
    asCaller: (request, reply, revision) => upstream.asCaller(request, reply, revisionOf(revision)),
    asCallerUntil: (abort, request, reply, revision) =>
      upstream.asCallerUntil(abort, request, reply, revisionOf(revision)),
    asCallerUnless: (statuses, request, reply, revision) =>
      upstream.asCallerUnless(statuses, request, reply, revisionOf(revision)),
    answer: (method, path, body, limit) => upstream.answer(method, path, body, limit),
    write: (method, path, body) => upstream.write(method, path, body),
  };
}
