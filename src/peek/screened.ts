import { isPseudouser, maskAnswer, MaskingStream, mayNeedMasking, type Hidden } from "../masking/masking.ts";
import { EmissaryError } from "../model/errors.ts";
import type { UserId } from "../model/ids.ts";
import { parsedObject, stringAt } from "../model/json.ts";
import { tokenOf } from "../http/bearer.ts";
import { queryAll } from "../http/server.ts";
import type { Revision, WholeAnswer } from "../http/upstream.ts";
import type { PeekEndpoint, PeekHandler } from "./peek.ts";
import type { PseudouserStore } from "./store.ts";
import { routesOfLinks } from "./named-routes.ts";
import { revising, type Asked, type PeekUpstream } from "./upstream.ts";

/** Answers up to this size are examined whole. Most have nothing to mask and go on unchanged. */
const UNREVISED: Revision = { limit: 256 * 1024, revise: () => null };
/** Endpoints that return one event's content: a user's own words, which the client asked for by name. */
const CONTENTS = /^\/rooms\/:roomId\/state\/:/;
/** Endpoints whose answers contain messages, which link to rooms. */
const WITH_LINKS: ReadonlySet<string> = new Set([
  "/rooms/:roomId/initialSync",
  "/rooms/:roomId/messages",
  "/rooms/:roomId/context/:eventId",
  "/rooms/:roomId/event/:eventId",
  "/events",
  "/sync",
]);

const MOMENT_BYTES = 64 * 1024;
/** Most hidden memberships that are skipped. A pseudouser comes and goes rarely, not many times in a row. */
const MAX_STEPS = 20;
const ANY = { has: () => true } as unknown as ReadonlySet<number>;

/** Returns what to hide. A pseudouser with a configured localpart looks like an ordinary user. */
export function hiddenOf(own: UserId, members: PseudouserStore): Hidden {
  return {
    ...(isPseudouser(own) ? {} : { also: [own] }),
    counts: (roomId) => members.counts(roomId, own),
  };
}

/**
 * Returns a handler that masks the homeserver's answers (MSC1777: clients must not show or count pseudousers), unless
 * the request says `include_pseudousers=true`, and that learns routes from links in them.
 */
export function screened({ path, handler }: PeekEndpoint): PeekHandler {
  if (CONTENTS.test(path)) return handler;
  const isMoment = path.endsWith("/timestamp_to_event");
  return (parts, request, reply) => {
    const { upstream, hidden, routes } = parts;
    const isShown = queryAll(request, "include_pseudousers").includes("true");
    const isLearning = WITH_LINKS.has(path) && tokenOf(request) !== null;
    if (isShown && !isLearning) return handler(parts, request, reply);
    const screen = {
      mayChange: (whole: Uint8Array) => mayNeedMasking(whole, hidden.also),
      begin: () => new MaskingStream(hidden),
    };
    const further = (inner: Revision | undefined, asked: Asked | null): Revision => {
      const moment = isMoment && asked !== null ? revisionOfMoment(upstream, hidden, asked) : UNREVISED;
      const revision = inner ?? moment;
      const revise = (body: Buffer): ReturnType<Revision["revise"]> => {
        for (const [roomId, via] of routesOfLinks(body)) routes.hint(roomId, via);
        return revision.revise(body);
      };
      return { ...revision, ...(isLearning ? { revise } : {}), ...(isShown ? {} : { screen }) };
    };
    return handler({ ...parts, upstream: revising(upstream, further) }, request, reply);
  };
}

/** Skips hidden memberships in `timestamp_to_event`, which clients would show, by asking again from their time. */
function revisionOfMoment(upstream: PeekUpstream, hidden: Hidden, { request: asked, reply }: Asked): Revision {
  const ask = (path: string): Promise<WholeAnswer | null> =>
    upstream.asCallerUnless(ANY, { method: "GET", path, headers: asked.headers, body: null }, reply);
  return {
    limit: MOMENT_BYTES,
    revise: async (body) => {
      const at = /^(.*)\/rooms\/([^/]+)\/timestamp_to_event\?(.*)$/.exec(asked.path);
      if (at === null) return null;
      const [, , room = "", query = ""] = at;
      const parameters = new URLSearchParams(query);
      const step = parameters.get("dir") === "b" ? -1 : 1;
      const token = parameters.get("access_token");
      const own = token === null ? "" : `?${new URLSearchParams({ access_token: token }).toString()}`;
      let named = body;
      for (let steps = 0; steps < MAX_STEPS; steps++) {
        const moment = parsedObject(named);
        const eventId = stringAt(moment, "event_id");
        if (eventId === null) return named;
        const event = await ask(`/_matrix/client/v3/rooms/${room}/event/${encodeURIComponent(eventId)}${own}`);
        if (event?.status !== 200 || maskAnswer([parsedObject(event.body)], hidden).length > 0) return named;
        parameters.set("ts", String(Number(moment["origin_server_ts"]) + step));
        const next = await ask(`${asked.path.split("?", 1)[0] ?? ""}?${parameters.toString()}`);
        if (next?.status !== 200) break;
        named = next.body;
      }
      throw new EmissaryError("not-found", "There is no event at that time, in that direction.");
    },
  };
}
