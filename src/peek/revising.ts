import type { FastifyReply } from "fastify";
import type { Revision, Upstream, UpstreamRequest } from "../http/upstream.ts";

/** The request and reply to which an answer belongs. */
export interface Asked {
  readonly request: UpstreamRequest;
  readonly reply: FastifyReply;
}

/**
 * Wraps the homeserver with a further revision of its answers.
 * @param of gets the existing revision, and the request; `asked` is null if the answer belongs to several
 */
export function revising(
  upstream: Upstream,
  of: (inner: Revision | undefined, asked: Asked | null) => Revision,
): Upstream {
  return {
    asPseudouser: (request, reply) => upstream.asPseudouser(request, reply),
    revised: (request, reply, inner) => upstream.revised(request, reply, of(inner, { request, reply })),
    rewritten: (request, reply, rewriting) => upstream.rewritten(request, reply, rewriting),
    asCaller: (request, reply, inner) => upstream.asCaller(request, reply, of(inner, { request, reply })),
    asCallerUntil: (abort, request, reply, inner) =>
      upstream.asCallerUntil(abort, request, reply, of(inner, { request, reply })),
    asCallerUnless: (statuses, request, reply, inner) =>
      upstream.asCallerUnless(statuses, request, reply, of(inner, { request, reply })),
    open: async (request, abort) => {
      const answer = await upstream.open(request, abort);
      return { give: (reply, inner) => answer.give(reply, of(inner, null)), drop: () => answer.drop() };
    },
    given: (body, reply, inner) => upstream.given(body, reply, of(inner, null)),
    answer: (method, path, body, limit) => upstream.answer(method, path, body, limit),
    write: (method, path, body) => upstream.write(method, path, body),
  };
}
