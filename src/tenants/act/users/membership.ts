import { roomPath } from "../../../http/client-paths.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, type RoomId, type UserId } from "../../../model/ids.ts";
import { only, stringAt, type JsonObject } from "../../../model/json.ts";
import type { TenantAction } from "../../../model/tenant.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import { nobody, personasOf, requireAnyDeed, requireDeed } from "../access.ts";
import { passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { passAudited } from "../checks/audited.ts";
import { requireTarget } from "../checks/ownership.ts";
import { objectFrom } from "../homeserver.ts";
import { costumeOf, noMembership, outgoing } from "../outgoing.ts";
import { pathOf, SMALL_BODY_LIMIT } from "../pass.ts";
import { leaveRoom } from "./attendance.ts";

/** What a tenant may make the pseudouser do to a membership, whichever call asks for it. */
type Doing = "invite" | "kick" | "ban" | "unban";

const ACTION_OF: Readonly<Record<Doing, TenantAction>> = { invite: "invite", kick: "kick", ban: "ban", unban: "ban" };
const RESULT_OF: Readonly<Record<Doing, string>> = { invite: "invite", kick: "leave", ban: "ban", unban: "leave" };

/** Redacts everything that the user sent in the room (MSC4293): the unstable and the future name. */
const REDACT_EVENTS = ["org.matrix.msc4293.redact_events", "redact_events"] as const;

/**
 * Keys that make a membership more than that: the first names a server that other servers ask for validation (spec,
 * "Third-party invites"), the second a user whose server lets somebody in.
 */
const NEVER = ["third_party_invite", "join_authorised_via_users_server"] as const;

/**
 * Invites, kicks and bans. The tenant's own users are in rooms inside Emissary only: inviting them does nothing, and
 * a kick takes them out. For others the pseudouser acts, if the operator allows it.
 */
const doing =
  (what: Doing): ActHandler =>
  async (call) => {
    const { parts, tenant, request } = call;
    const roomId = roomIdFrom(param(request, "roomId"));
    const body = await readJson(request, SMALL_BODY_LIMIT);
    const target = stringAt(body, "user_id");
    if (target === null || !isUserId(target)) {
      throw new EmissaryError("bad-parameter", `${JSON.stringify(target)} is no user: user_id must be a user ID.`);
    }
    // Refuses unsupported parameters before anything is done.
    pathOf(request);
    if (parts.tenants.isPersona(tenant, target)) {
      // Bans of own users are not stored: the tenant itself lets its users in.
      if (what === "kick" || what === "ban") await leaveRoom({ ...call, user: target }, roomId);
      return {};
    }
    const reason = stringAt(body, "reason");
    const content = { ...(reason !== null && { reason }), ...only(body, ...REDACT_EVENTS) };
    return changeMembership(call, roomId, target, what, content);
  };

/**
 * Invites, kicks or bans a user of no tenant, if the operator allows it. Always sends a state event: the dedicated
 * calls keep only the reason, which loses an invite's direct-chat flag and the tenant's mark.
 * @param asked null if only the content's membership says it, as in a state event: a leave may be any of several
 */
export async function changeMembership(
  call: Call,
  roomId: RoomId,
  target: UserId,
  asked: Doing | null,
  content: JsonObject,
): Promise<unknown> {
  refuseHidden(call, target, asked ?? "set the membership of");
  const membership = asked === null ? stringAt(content, "membership") : RESULT_OF[asked];
  if (asked === null && membership !== "invite" && membership !== "leave" && membership !== "ban") throw noMembership();
  const refused = NEVER.find((key) => Object.hasOwn(content, key));
  if (refused !== undefined) throw new EmissaryError("forbidden", `Tenants cannot set ${refused}.`);
  const path = roomPath(roomId, "state", "m.room.member", target);
  // Otherwise two tenants that change the same user at once would both rely on the old membership.
  return call.parts.mutex.run(path, async () => {
    const change = await doingOf(call, roomId, asked, membership, path);
    await requireDeed(call, roomId, ACTION_OF[change]);
    if (REDACT_EVENTS.some((key) => content[key] === true)) await requireDeed(call, roomId, "redact-others");
    const costume = costumeOf(call, "m.room.member", personasOf(call));
    const sent = outgoing("membership", { ...content, membership: RESULT_OF[change] }, costume);
    for (const named of sent.targets) await requireTarget(call, roomId, named);
    const deed = { path, body: sent.content, roomId, action: `member.${change}`, detail: { user_id: target } };
    // Only the answer to a state event names the event.
    return passAudited(call, asked === null ? deed : { ...deed, said: {} });
  });
}

/**
 * Returns what the change means, given the current membership: a leave set as state is a kick or lifts a ban, which
 * needs another action. Refuses calls that do not fit, as a homeserver does.
 */
async function doingOf(
  call: Call,
  roomId: RoomId,
  asked: Doing | null,
  membership: string | null,
  path: string,
): Promise<Doing> {
  if (membership === "invite" || membership === "ban") return membership;
  // A caller who may not change a membership must not learn it.
  await requireAnyDeed(call, roomId, asked === null ? ["kick", "ban"] : [ACTION_OF[asked]]);
  const member = await objectFrom(call.parts.upstream, path, `whether the user is in ${roomId}`);
  const now = member === null ? null : stringAt(member, "membership");
  if (asked === "unban" && now !== "ban") {
    throw new EmissaryError("forbidden", "The user is not banned from the room, so there is no ban to lift.");
  }
  if (asked === "kick" && now === "ban") {
    throw new EmissaryError("forbidden", "The user is banned from the room: lift the ban (unban), or leave it so.");
  }
  if (asked === "kick" && (now === null || now === "leave")) {
    throw new EmissaryError("forbidden", "The user is not in the room.");
  }
  return now === "ban" ? "unban" : "kick";
}

/** Refuses the pseudouser, which follows all tenants' leases, and other tenants' users, who are hidden. */
function refuseHidden({ parts: { own, tenants }, tenant }: Call, target: UserId, what: string): void {
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

export const membershipEndpoints: readonly Endpoint[] = (Object.keys(NOTES) as Doing[]).map((what) =>
  passed(`POST /rooms/:roomId/${what}`, NOTES[what], doing(what)),
);
