import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { isJsonObject, shallow } from "../../model/json.ts";
import { askerOf } from "../../http/callers.ts";
import { readJson } from "../../http/body.ts";
import { param, queryAll } from "../../http/server.ts";
import { requireAction } from "../act/access.ts";
import { answered, type ActHandler, type Endpoint } from "../act/act.ts";
import { filterIdOf, filterIn, NO_FILTER, syncFilter, type SyncFilter } from "./filter.ts";
import { following } from "./packed.ts";

const FILTER_BODY_LIMIT = 64 * 1024;

const sync: ActHandler = async (call) => {
  requireAction(call, "read");
  const { parts, tenant, request, reply } = call;
  const { name, abort } = askerOf(reply);
  const [since = null] = queryAll(request, "since");
  const [timeout = "0"] = queryAll(request, "timeout");
  if (!/^\d{1,9}$/.test(timeout)) {
    throw new EmissaryError(
      "bad-parameter",
      `timeout is ${JSON.stringify(timeout)} but must be a number of milliseconds.`,
    );
  }
  const [isFull = "false"] = queryAll(request, "full_state");
  const ask = { since, wait: Number(timeout), isFull: isFull === "true", filter: filterOf(request) };
  const hold = parts.held.open(name, abort, () => reply.raw.destroy());
  const pieces = await parts.sync.sync(tenant, ask, abort, hold);
  // The status goes out once the first piece is ready.
  const { value, done } = await pieces.next();
  const body = done === true ? value : Readable.from(following(value, pieces), { objectMode: false });
  return reply.type("application/json").send(body);
};

/** Returns a filter, given inline or by ID. An unknown ID, as of a former homeserver's, filters nothing. */
function filterOf(request: FastifyRequest): SyncFilter {
  const [given] = queryAll(request, "filter");
  if (given === undefined) return NO_FILTER;
  if (!given.startsWith("{")) return syncFilter(filterIn(given) ?? {});
  let filter: unknown;
  try {
    filter = JSON.parse(given);
  } catch {
    filter = null;
  }
  if (!isJsonObject(filter)) throw new EmissaryError("bad-parameter", "filter is neither the ID of a filter nor JSON.");
  return syncFilter(shallow(filter));
}

export const syncEndpoints: readonly Endpoint[] = [
  answered("GET /sync", "the tenant's rooms, events and invites; waits for news up to `timeout` (60 s at most)", sync),
  answered("POST /user/:userId/filter", "an ID for the filter; it stays valid", async ({ request }) => ({
    filter_id: filterIdOf(await readJson(request, FILTER_BODY_LIMIT)),
  })),
  answered("GET /user/:userId/filter/:filterId", "the filter", async ({ request }) => {
    const filter = filterIn(param(request, "filterId"));
    if (filter === null) throw new EmissaryError("not-found", "There is no such filter.");
    return filter;
  }),
];
