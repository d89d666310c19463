import { EmissaryError } from "../../../model/errors.ts";
import { askerOf } from "../../../platform/http/callers.ts";
import { readJson } from "../../../platform/http/body.ts";
import { queryAll } from "../../../platform/http/server.ts";
import { requireAction } from "../access.ts";
import type { Endpoint } from "../act.ts";

const FILTER_BODY_LIMIT = 64 * 1024;
/** Every filter has this ID, because none is applied. */
const FILTER_ID = "0";

export const syncEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/sync",
    how: "answered",
    note: "the tenant's rooms, events and invites; waits for news up to `timeout` (60 s at most)",
    handler: async (parts, caller, request, reply) => {
      requireAction(caller, "read");
      const { name, abort } = askerOf(reply);
      const [since = null] = queryAll(request, "since");
      const [timeout = "0"] = queryAll(request, "timeout");
      if (!/^\d{1,9}$/.test(timeout)) {
        throw new EmissaryError("bad-parameter", `timeout is ${JSON.stringify(timeout)} and is to be milliseconds.`);
      }
      const hold = parts.held.open(name, abort, () => reply.raw.destroy());
      const answer = await parts.sync.sync(caller.tenant, since, Number(timeout), abort, hold);
      return reply.type("application/json").send(answer);
    },
  },
  {
    method: "POST",
    path: "/user/:userId/filter",
    how: "answered",
    note: "accepted, and not applied",
    handler: async (_parts, _caller, request) => {
      await readJson(request, FILTER_BODY_LIMIT);
      return { filter_id: FILTER_ID };
    },
  },
  {
    method: "GET",
    path: "/user/:userId/filter/:filterId",
    how: "answered",
    note: "the empty filter",
    handler: async () => ({}),
  },
];
