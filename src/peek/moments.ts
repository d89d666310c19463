import type { FastifyReply } from "fastify";
import { maskAnswer, type Hidden } from "../masking/masking.ts";
import { EmissaryError } from "../model/errors.ts";
import { parsedObject, stringAt, type JsonObject } from "../model/json.ts";
import type { Revision, Upstream, UpstreamRequest, WholeAnswer } from "../http/upstream.ts";

const MOMENT_BYTES = 64 * 1024;
/** Most hidden memberships that are skipped. A pseudouser comes and goes rarely, not many times in a row. */
const MAX_STEPS = 20;
const ANY = { has: () => true } as unknown as ReadonlySet<number>;

/**
 * Skips memberships hidden elsewhere in `timestamp_to_event` by asking again from the hidden one's time. Clients show
 * the returned event first after a jump in time.
 */
export function revisionOfMoment(
  upstream: Upstream,
  hidden: Hidden,
  asked: UpstreamRequest,
  reply: FastifyReply,
): Revision {
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
        if (event?.status !== 200 || !isLeftOut(parsedObject(event.body), hidden)) return named;
        parameters.set("ts", String(Number(moment["origin_server_ts"]) + step));
        const next = await ask(`${asked.path.split("?", 1)[0] ?? ""}?${parameters.toString()}`);
        if (next?.status !== 200) break;
        named = next.body;
      }
      throw new EmissaryError("not-found", "There is no event at that time, in that direction.");
    },
  };
}

function isLeftOut(event: JsonObject, hidden: Hidden): boolean {
  return maskAnswer([event], hidden).length === 0;
}
