import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, type UserId } from "../../../model/ids.ts";
import { stringAt, type JsonObject } from "../../../model/json.ts";
import type { Tenant, TenantAction } from "../../../model/tenant.ts";
import { roomIdFrom } from "../../../leases/target.ts";
import { readJson } from "../../../platform/http/body.ts";
import { param } from "../../../platform/http/server.ts";
import { requireDeed } from "../access.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { leaveRoom } from "./attendance.ts";
import { nobody } from "../caller.ts";
import { passAudited } from "../checks/audited.ts";
import { pathOf } from "../path.ts";
import { SMALL_BODY_LIMIT } from "./personas.ts";

type Doing = "invite" | "kick" | "ban" | "unban";

const NONE: ReadonlySet<string> = new Set();
const ACTION_OF: Readonly<Record<Doing, TenantAction>> = { invite: "invite", kick: "kick", ban: "ban", unban: "ban" };

/**
 * Inviting, kicking and banning. The tenant's own users are in rooms inside Emissary only: an invite of theirs has nothing to wait
 * for, and a kick takes them out. For others the pseudouser does it, where the operator allows that.
 */
const doing =
  (what: Doing): ActHandler =>
  async (parts, caller, request, reply) => {
    const { tenant } = caller;
    const roomId = roomIdFrom(param(request, "roomId"));
    const body = await readJson(request, SMALL_BODY_LIMIT);
    const target = targetIn(body);
    if (parts.tenants.isPersona(tenant, target)) {
      // Bans of them are not kept: it is the tenant itself that lets its users in.
      if (what === "kick" || what === "ban") await leaveRoom(parts, { tenant, user: target }, roomId);
      return {};
    }
    refuseHidden(parts, tenant, target, what);
    await requireDeed(parts, caller, roomId, { action: ACTION_OF[what] });
    const reason = stringAt(body, "reason");
    return passAudited(parts, tenant, reply, {
      method: "POST",
      path: pathOf(request, NONE),
      // Written anew, so that what was looked at here is all that the homeserver reads.
      body: { user_id: target, ...(reason === null ? {} : { reason }) },
      roomId,
      action: `member.${what}`,
      detail: { user_id: target },
    });
  };

function targetIn(body: JsonObject): UserId {
  const target = stringAt(body, "user_id");
  if (target !== null && isUserId(target)) return target;
  throw new EmissaryError("bad-request", `${JSON.stringify(target)} is no user: user_id is to be a user ID.`);
}

/** The pseudouser's membership follows the leases of all tenants; and other tenants' users are in no room for this one. */
function refuseHidden({ own, tenants }: ActParts, tenant: Tenant, target: UserId, what: Doing): void {
  if (target === own) {
    throw new EmissaryError(
      "forbidden",
      `Tenant ${tenant.id} cannot ${what} ${own}, which all tenants share: to come and go, its own users join and leave.`,
    );
  }
  if (tenants.isOthers(tenant, target)) throw nobody(target);
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
