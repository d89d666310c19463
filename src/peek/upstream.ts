import type { FastifyReply } from "fastify";
import type { Revision, Upstream, UpstreamRequest } from "../http/upstream.ts";

/** The homeserver, asked with the caller's own token. */
export type PeekUpstream = Pick<Upstream, "asCaller" | "asCallerUntil" | "asCallerUnless" | "open" | "given">;

/** The request and reply to which an answer belongs. */
export interface Asked {
  readonly request: UpstreamRequest;
  readonly reply: FastifyReply;
}

/** Adds a revision to the homeserver's answers. `asked` is null if the answer belongs to several requests. */
export function revising(
  upstream: PeekUpstream,
  of: (inner: Revision | undefined, asked: Asked | null) => Revision,
): PeekUpstream {
  return {
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
  };
}
