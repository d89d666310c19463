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

/** An answer of this size is looked at as a whole: most of them have nothing to mask, and go on untouched. */
const UNREVISED: Revision = { limit: 256 * 1024, revise: () => null };

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

/** What answers with the content of one event, which is somebody's own word. It was asked for by its name. */
const CONTENTS = /^\/rooms\/:roomId\/state\/:/;

/**
 * A handler whose answers from the homeserver are masked (MSC1777: clients are not to show pseudousers, nor to count them), unless
 * the request says `include_pseudousers=true`. Answers without one go on untouched.
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

/** The homeserver, as if there were no pseudousers. */
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

/** Whose devices changed between two tokens of `/sync`, which may be ours where the device peeks (MSC2753). */
const keyChanges: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request, withoutOurTokens(request.raw.url ?? "/")), reply);

/** What is passed only to be masked. */
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
