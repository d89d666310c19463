import { EmissaryError } from "../../../model/errors.ts";
import type { ServerName } from "../../../model/ids.ts";
import { parsedObject, stringAt, without, written, type JsonObject } from "../../../model/json.ts";
import { revisionOf, sourced } from "../../../model/json-text.ts";
import { isShown, type Openness } from "../../../policy/openness.ts";
import { resolveRoom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { askerOf } from "../../../http/callers.ts";
import { param } from "../../../http/server.ts";
import { viaOf } from "../../../http/via.ts";
import { sendWhole } from "../../../http/upstream.ts";
import { requireAction } from "../access.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { holderOf } from "../caller.ts";
import { withCount } from "../users/members.ts";
import { passRead } from "../pass.ts";
import { NONE, pathOf } from "../path.ts";
import { refused } from "../refused.ts";

const PING_BODY_LIMIT = 4 * 1024;

/** The client-server API's error for each failure of a ping (spec v1.7, "Pinging"). */
const PING_ERRORS = {
  "no-url": [400, "M_URL_NOT_SET"],
  "connection-failed": [502, "M_CONNECTION_FAILED"],
  "connection-timeout": [504, "M_CONNECTION_TIMEOUT"],
  "bad-status": [502, "M_BAD_STATUS"],
} as const;

const ping: ActHandler = async (parts, { tenant }, request, reply) => {
  if (param(request, "appserviceId") !== tenant.id) {
    throw new EmissaryError(
      "forbidden",
      `The token is of the appservice ${tenant.id}, and that is whom it can have pinged.`,
    );
  }
  const transactionId = stringAt(await readJson(request, PING_BODY_LIMIT), "transaction_id");
  const outcome = await parts.pinger.ping(tenant, transactionId);
  if (outcome.ok) return { duration_ms: Math.round(outcome.ms) };
  const [status, errcode] = PING_ERRORS[outcome.why];
  return reply.code(status).send({
    errcode,
    error: outcome.sentence,
    ...(outcome.status === null ? {} : { status: outcome.status }),
    ...(outcome.body === null ? {} : { body: outcome.body }),
  });
};

/**
 * Returns a room's summary. The homeserver shows the pseudouser private rooms that it is in or invited to for others.
 * A tenant without a lease gets the same answer for such a room as for a missing one.
 */
const summary: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "read");
  const via = parts.routes.required(viaOf(request));
  const { roomId } = await resolveRoom(param(request, "roomIdOrAlias"), via, parts.aliases, askerOf(reply));
  const holds = (await parts.leases.find(roomId, holderOf(caller.tenant))) !== null;
  const answer = await parts.upstream.answer("GET", `${pathOf(request, NONE)}${queryWith(via)}`, null);
  const { status, headers, body } = answer;
  if ((holds && status !== 200) || status >= 500 || status === 429) return sendWhole(reply, answer);
  const told = sourced(parsedObject(body), body.toString("utf8"));
  if (!holds && (status !== 200 || !isShown(opennessIn(told)))) {
    throw new EmissaryError("not-found", `There is nothing to tell of ${roomId} from outside.`);
  }
  const shown = holds ? await withCount(parts, caller, told) : without(told, "membership");
  // It was the length of the homeserver's text.
  delete headers["content-length"];
  return reply
    .code(200)
    .headers(headers)
    .send(written(revisionOf(told, shown)));
};

/** Adds both names (MSC4156). A homeserver reads the one that it knows. */
function queryWith(via: readonly ServerName[]): string {
  if (via.length === 0) return "";
  const query = new URLSearchParams();
  for (const name of ["via", "server_name"]) for (const server of via) query.append(name, server);
  return `?${query.toString()}`;
}

/** Reads a room summary. Older homeservers omit the join rule of public rooms (MSC3266). */
function opennessIn(told: JsonObject): Openness {
  return {
    version: stringAt(told, "room_version") ?? stringAt(told, "im.nheko.summary.room_version"),
    joinRule: stringAt(told, "join_rule") ?? "public",
    worldReadable: told["world_readable"] === true,
  };
}

const SUMMARIES: readonly (readonly [under: string, path: string])[] = [
  ["/_matrix/client/v1", "/room_summary/:roomIdOrAlias"],
  ["/_matrix/client/unstable/im.nheko.summary", "/summary/:roomIdOrAlias"],
  ["/_matrix/client/unstable/im.nheko.summary", "/rooms/:roomIdOrAlias/summary"],
];

const PINGS: readonly string[] = ["/_matrix/client/v1", "/_matrix/client/unstable/fi.mau.msc2659"];
const NO_RULES = { override: [], content: [], room: [], sender: [], underride: [] };

function answered(
  method: Endpoint["method"],
  path: string,
  note: string,
  answer: (parts: ActParts) => object,
): Endpoint {
  return { method, path, how: "answered", note, handler: async (parts) => answer(parts) };
}

/** Other requests of SDKs, at start or occasionally. */
export const miscEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    under: PINGS,
    path: "/appservice/:appserviceId/ping",
    how: "answered",
    note: "calls the tenant at its URL (MSC2659); the ID is the tenant's",
    handler: ping,
  },
  ...SUMMARIES.map(([under, path]): Endpoint => ({
    method: "GET",
    under: [under],
    path,
    how: "passed",
    note: "what a room shows from outside; of a private room nothing, whoever is in it",
    handler: summary,
  })),
  {
    method: "GET",
    path: "/capabilities",
    how: "passed",
    note: "room versions and more",
    handler: async (parts, _caller, request, reply) =>
      parts.upstream.asPseudouser(
        { method: "GET", path: pathOf(request, NONE), headers: request.headers, body: null },
        reply,
      ),
  },
  answered("GET", "/pushrules/", "none", () => ({ global: NO_RULES })),
  answered("GET", "/pushrules/global/", "none", () => NO_RULES),
  answered("GET", "/notifications", "none", () => ({ notifications: [] })),
  answered("GET", "/pushers", "none", () => ({ pushers: [] })),
  answered("GET", "/voip/turnServer", "none: tenants make no calls", () => ({})),
  {
    method: "GET",
    path: "/thirdparty/protocols",
    how: "passed",
    note: "which networks are bridged",
    handler: passRead(NONE),
  },
  {
    method: "GET",
    path: "/thirdparty/protocol/:protocol",
    how: "passed",
    note: "the same, one",
    handler: passRead(NONE),
  },
  ...refused({
    endpoints: ["PUT /pushrules/:scope/:kind/:ruleId", "DELETE /pushrules/:scope/:kind/:ruleId", "POST /pushers/set"],
    why: "a tenant's users have no push; events are delivered to its URL, or wait at /sync",
  }),
  ...refused({
    endpoints: ["POST /user_directory/search", "POST /search"],
    why: "they would search what the pseudouser sees for all tenants; read the rooms that the tenant is in",
  }),
  ...refused({
    endpoints: ["POST /knock/:roomIdOrAlias"],
    why: "the pseudouser does not knock; have it invited, naming the tenant in the reason",
  }),
  ...refused({
    endpoints: [
      "POST /account/deactivate",
      "POST /account/password",
      "GET /account/3pid",
      "POST /user/:userId/openid/request_token",
    ],
    why: "they would be the pseudouser's, which all tenants share",
  }),
];
