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
import { holderOf, requireAction } from "../access.ts";
import { answered, passed, refused, type ActHandler, type Endpoint } from "../act.ts";
import { passOn, passRead, pathOf } from "../pass.ts";
import { withCount } from "../users/members.ts";

const PING_BODY_LIMIT = 4 * 1024;

/** The client-server API's error for each failure of a ping (spec v1.7, "Pinging"). */
const PING_ERRORS = {
  "no-url": [400, "M_URL_NOT_SET"],
  "connection-failed": [502, "M_CONNECTION_FAILED"],
  "connection-timeout": [504, "M_CONNECTION_TIMEOUT"],
  "bad-status": [502, "M_BAD_STATUS"],
} as const;

const ping: ActHandler = async ({ parts, tenant, request, reply }) => {
  if (param(request, "appserviceId") !== tenant.id) {
    throw new EmissaryError("forbidden", `The token is of the appservice ${tenant.id}, which can only ping itself.`);
  }
  const transactionId = stringAt(await readJson(request, PING_BODY_LIMIT), "transaction_id");
  const outcome = await parts.couriers.ping(tenant, transactionId);
  if (outcome.ok) return { duration_ms: Math.round(outcome.ms) };
  const [status, errcode] = PING_ERRORS[outcome.why];
  return reply.code(status).send({
    errcode,
    error: outcome.sentence,
    ...(outcome.status !== null && { status: outcome.status }),
    ...(outcome.body !== null && { body: outcome.body }),
  });
};

/**
 * Returns a room's summary. The homeserver shows the pseudouser private rooms that it is in or invited to for others.
 * A tenant without a lease gets the same answer for such a room as for a missing one.
 */
const summary: ActHandler = async (call) => {
  requireAction(call, "read");
  const { parts, tenant, request, reply } = call;
  const via = parts.routes.required(viaOf(request));
  const { roomId } = await resolveRoom(param(request, "roomIdOrAlias"), via, parts.aliases, askerOf(reply));
  const holds = (await parts.leases.find(roomId, holderOf(tenant))) !== null;
  const answer = await parts.upstream.answer("GET", `${pathOf(request)}${queryWith(via)}`, null);
  const { status, headers, body } = answer;
  if ((holds && status !== 200) || status >= 500 || status === 429) return sendWhole(reply, answer);
  const room = sourced(parsedObject(body), body.toString("utf8"));
  if (!holds && (status !== 200 || !isShown(opennessIn(room)))) {
    throw new EmissaryError("not-found", `${roomId} shows nothing to outsiders.`);
  }
  const shown = holds ? await withCount(call, room) : without(room, "membership");
  // It was the length of the homeserver's text.
  delete headers["content-length"];
  return sendWhole(reply, { status: 200, headers, body: Buffer.from(written(revisionOf(room, shown))) });
};

/** Adds both names (MSC4156). A homeserver reads the one that it knows. */
function queryWith(via: readonly ServerName[]): string {
  if (via.length === 0) return "";
  const query = new URLSearchParams();
  for (const name of ["via", "server_name"]) for (const server of via) query.append(name, server);
  return `?${query.toString()}`;
}

/** Reads a room summary. Older homeservers omit the join rule of public rooms (MSC3266). */
function opennessIn(room: JsonObject): Openness {
  return {
    version: stringAt(room, "room_version") ?? stringAt(room, "im.nheko.summary.room_version"),
    joinRule: stringAt(room, "join_rule") ?? "public",
    worldReadable: room["world_readable"] === true,
  };
}

const SUMMARIES = [
  ["/_matrix/client/v1", "/room_summary/:roomIdOrAlias"],
  ["/_matrix/client/unstable/im.nheko.summary", "/summary/:roomIdOrAlias"],
  ["/_matrix/client/unstable/im.nheko.summary", "/rooms/:roomIdOrAlias/summary"],
] as const;

const PINGS: readonly string[] = ["/_matrix/client/v1", "/_matrix/client/unstable/fi.mau.msc2659"];
const NO_RULES = { override: [], content: [], room: [], sender: [], underride: [] };

/** Other requests of SDKs, at start or occasionally. */
export const miscEndpoints: readonly Endpoint[] = [
  answered(
    "POST /appservice/:appserviceId/ping",
    "calls the tenant at its URL (MSC2659); the ID is the tenant's",
    ping,
    PINGS,
  ),
  ...SUMMARIES.map(([under, path]) =>
    passed(`GET ${path}`, "what a room shows from outside; of a private room nothing, whoever is in it", summary, [
      under,
    ]),
  ),
  passed("GET /capabilities", "room versions and more", passOn),
  answered("GET /pushrules/", "none", async () => ({ global: NO_RULES })),
  answered("GET /pushrules/global/", "none", async () => NO_RULES),
  answered("GET /notifications", "none", async () => ({ notifications: [] })),
  answered("GET /pushers", "none", async () => ({ pushers: [] })),
  answered("GET /voip/turnServer", "none: tenants make no calls", async () => ({})),
  passed("GET /thirdparty/protocols", "which networks are bridged", passRead()),
  passed("GET /thirdparty/protocol/:protocol", "the same, one", passRead()),
  ...refused("a tenant's users have no push; events are delivered to its URL, or wait at /sync", [
    "PUT /pushrules/:scope/:kind/:ruleId",
    "DELETE /pushrules/:scope/:kind/:ruleId",
    "POST /pushers/set",
  ]),
  ...refused("they would search what the pseudouser sees for all tenants; read the rooms that the tenant is in", [
    "POST /user_directory/search",
    "POST /search",
  ]),
  ...refused("the pseudouser does not knock; have it invited, naming the tenant in the reason", [
    "POST /knock/:roomIdOrAlias",
  ]),
  ...refused("they would be the pseudouser's, which all tenants share", [
    "POST /account/deactivate",
    "POST /account/password",
    "GET /account/3pid",
    "POST /user/:userId/openid/request_token",
  ]),
];
