import { CLIENT_V3 } from "../http/client-paths.ts";
import type { FastifyRequest } from "fastify";
import { isPseudouser, MaskingStream, mayNeedMasking, type Hidden } from "../masking/masking.ts";
import type { UserId } from "../model/ids.ts";
import { queryAll } from "../http/server.ts";
import { upstreamRequest, type Revision, type Screen, type Upstream } from "../http/upstream.ts";
import { revisionOfMoment } from "./moments.ts";
import { withoutOurTokens } from "./msc2753/token.ts";
import { revising } from "./revising.ts";
import { type PeekEndpoint, type PeekHandler } from "./peek.ts";

/** Answers up to this size are examined whole. Most have nothing to mask and go on unchanged. */
const UNREVISED: Revision = { limit: 256 * 1024, revise: () => null };

export interface HiddenMembers {
  /**
   * Returns the room's joined and invited pseudousers; `own` counts whatever its name. Synchronous, because it is
   * called for each room while an answer is written. An asynchronous store must keep these few numbers in memory.
   */
  counts(roomId: string, own: UserId): { readonly joined: number; readonly invited: number };
}

/** Returns what to hide. A pseudouser with a configured localpart looks like an ordinary user. */
export function hiddenOf(own: UserId, members: HiddenMembers): Hidden {
  return {
    ...(isPseudouser(own) ? {} : { also: [own] }),
    counts: (roomId) => members.counts(roomId, own),
  };
}

/** Endpoints that return one event's content: a user's own words, which the client asked for by name. */
const CONTENTS = /^\/rooms\/:roomId\/state\/:/;

/**
 * Returns a handler that masks the homeserver's answers (MSC1777: clients must not show or count pseudousers), unless
 * the request says `include_pseudousers=true`. Answers without a pseudouser go on unchanged.
 */
export function masked({ path, handler }: Pick<PeekEndpoint, "path" | "handler">): PeekHandler {
  if (CONTENTS.test(path)) return handler;
  const isMoment = path.endsWith("/timestamp_to_event");
  return (parts, request, reply) =>
    handler(
      wantsAll(request) ? parts : { ...parts, upstream: masking(parts.upstream, parts.hidden, isMoment) },
      request,
      reply,
    );
}

export function wantsAll(request: FastifyRequest): boolean {
  return queryAll(request, "include_pseudousers").includes("true");
}

/** Wraps the homeserver so that it seems to have no pseudousers. */
function masking(upstream: Upstream, hidden: Hidden, isMoment: boolean): Upstream {
  const screen: Screen = {
    mayChange: (whole) => mayNeedMasking(whole, hidden.also),
    begin: () => new MaskingStream(hidden),
  };
  return revising(upstream, (inner, asked) => {
    const moment =
      isMoment && asked !== null ? revisionOfMoment(upstream, hidden, asked.request, asked.reply) : UNREVISED;
    return { ...(inner ?? moment), screen };
  });
}

const pass: PeekHandler = (parts, request, reply) => parts.upstream.asCaller(upstreamRequest(request), reply);

/** Returns whose devices changed between two `/sync` tokens, which may be ours if the device peeks (MSC2753). */
const keyChanges: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request, withoutOurTokens(request.raw.url ?? "/")), reply);

/** Endpoints that are passed on only to be masked. */
export const maskedEndpoints: readonly PeekEndpoint[] = [
  {
    method: "GET",
    path: "/initialSync",
    under: CLIENT_V3,
    note: "passed: all rooms of the user, as clients began before `/sync`",
    handler: pass,
  },
  {
    method: "GET",
    path: "/keys/changes",
    under: CLIENT_V3,
    note: "passed: whose devices changed",
    handler: keyChanges,
  },
  {
    method: "POST",
    path: "/search",
    under: CLIENT_V3,
    note: "passed: what was said in the user's rooms",
    handler: pass,
  },
  {
    method: "POST",
    path: "/user_directory/search",
    under: CLIENT_V3,
    note: "passed: users that are found",
    handler: pass,
  },
];
