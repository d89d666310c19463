import type { FastifyRequest } from "fastify";
import { isPseudouser, maskBytes, type AnswerKind, type Hidden } from "../../masking/masking.ts";
import type { UserId } from "../../model/ids.ts";
import { queryAll } from "../../platform/http/server.ts";
import { type Revision, type Upstream } from "../../platform/http/upstream.ts";
import { type PeekEndpoint, type PeekHandler } from "./peek.ts";

/** So much of an answer is held to be looked at; larger ones go on as they are. */
const MASKED_BYTES = 64 * 1024 * 1024;

export interface HiddenMembers {
  /**
   * How many pseudousers are in a room and invited to it, `own` whatever its name. At once, because it is asked for each room of an
   * answer that is being written; a storage that could not answer so would have these few numbers in memory.
   */
  counts(roomId: string, own: UserId): { readonly joined: number; readonly invited: number };
}

/** What is to be kept out of answers. A pseudouser whose localpart is configured looks like an ordinary user. */
export function hiddenOf(own: UserId, members: HiddenMembers): Hidden {
  return {
    ...(isPseudouser(own) ? {} : { also: [own] }),
    counts: (roomId) => members.counts(roomId, own),
  };
}

/** The kinds of the answers in which pseudousers would show, by the endpoint's path. */
const KINDS: Readonly<Record<string, AnswerKind>> = {
  "/rooms/:roomId/initialSync": "initial_sync",
  "/rooms/:roomId/members": "members",
  "/rooms/:roomId/joined_members": "joined_members",
  "/rooms/:roomId/messages": "messages",
  "/rooms/:roomId/context/:eventId": "messages",
  "/events": "messages",
  "/sync": "sync",
  "/room_summary/:roomIdOrAlias": "room_summary",
  "/summary/:roomIdOrAlias": "room_summary",
  "/rooms/:roomIdOrAlias/summary": "room_summary",
  "/rooms/:roomId/hierarchy": "hierarchy",
  "/publicRooms": "public_rooms",
  "/org.matrix.simplified_msc3575/sync": "sliding_sync",
};

/**
 * A handler whose answers from the homeserver are masked (MSC1777: clients are not to show pseudousers, nor to count them), unless
 * the request says `include_pseudousers=true`. Answers without one go on untouched.
 */
export function masked({ path, handler }: Pick<PeekEndpoint, "path" | "handler">): PeekHandler {
  const kind = KINDS[path];
  if (kind === undefined) return handler;
  return (parts, request, reply) =>
    handler(
      wantsAll(request) ? parts : { ...parts, upstream: masking(parts.upstream, kind, parts.hidden) },
      request,
      reply,
    );
}

export function wantsAll(request: FastifyRequest): boolean {
  return queryAll(request, "include_pseudousers").includes("true");
}

/** An answer without the pseudousers in it; the same bytes where there are none. */
export function maskedBytes(kind: AnswerKind, body: Buffer, hidden: Hidden): Buffer {
  const left = maskBytes(kind, body, hidden);
  return left === body ? body : Buffer.from(left.buffer, left.byteOffset, left.byteLength);
}

/** The homeserver, as if there were no pseudousers. */
function masking(upstream: Upstream, kind: AnswerKind, hidden: Hidden): Upstream {
  const revisionOf = (inner: Revision | undefined): Revision => ({
    limit: Math.max(MASKED_BYTES, inner?.limit ?? 0),
    revise: async (body) => {
      const revised = (await inner?.revise(body)) ?? body;
      const left = maskedBytes(kind, revised, hidden);
      return left === body ? null : left;
    },
  });
  return {
    asPseudouser: (request, reply) => upstream.asPseudouser(request, reply),
    revised: (request, reply, revision) => upstream.revised(request, reply, revisionOf(revision)),
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
