import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, type UserId } from "../../../model/ids.ts";
import { only, stringAt, type JsonObject } from "../../../model/json.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import type { ActHandler, Endpoint } from "../act.ts";
import { NONE, pathOf } from "../path.ts";
import { leaveRoom } from "./attendance.ts";
import { changeMembership, REDACT_EVENTS, type Doing } from "./others.ts";
import { SMALL_BODY_LIMIT } from "./personas.ts";

/**
 * Invites, kicks and bans. The tenant's own users are in rooms inside Emissary only: inviting them does nothing, and
 * a kick takes them out. For others the pseudouser acts, if the operator allows it.
 */
const doing =
  (what: Doing): ActHandler =>
  async (parts, caller, request, reply) => {
    const { tenant } = caller;
    const roomId = roomIdFrom(param(request, "roomId"));
    const body = await readJson(request, SMALL_BODY_LIMIT);
    const target = targetIn(body);
    // Refuses unsupported parameters before anything is done.
    pathOf(request, NONE);
    if (parts.tenants.isPersona(tenant, target)) {
      // Bans of own users are not stored: the tenant itself lets its users in.
      if (what === "kick" || what === "ban") await leaveRoom(parts, { tenant, user: target }, roomId);
      return {};
    }
    const content = { ...reasonIn(body), ...only(body, ...REDACT_EVENTS) };
    return changeMembership(parts, caller, reply, { roomId, target, doing: what, content, isState: false });
  };

function reasonIn(body: JsonObject): JsonObject {
  const reason = stringAt(body, "reason");
  return reason === null ? {} : { reason };
}

function targetIn(body: JsonObject): UserId {
  const target = stringAt(body, "user_id");
  if (target !== null && isUserId(target)) return target;
  throw new EmissaryError("bad-parameter", `${JSON.stringify(target)} is no user: user_id is to be a user ID.`);
}

const NOTES: Readonly<Record<Doing, string>> = {
  invite: "of the tenant's users: nothing, they just join; of others: with the invite action",
  kick: "of the tenant's users: they leave; of others: with the kick action; never the pseudouser",
  ban: "the same, with the ban action",
  unban: "of the tenant's users: nothing; of others: with the ban action",
};

export const membershipEndpoints: readonly Endpoint[] = (Object.keys(NOTES) as Doing[]).map((what) => ({
  method: "POST",
  path: `/rooms/:roomId/${what}`,
  how: "passed",
  note: NOTES[what],
  handler: doing(what),
}));
