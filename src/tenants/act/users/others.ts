import type { FastifyReply } from "fastify";
import { EmissaryError } from "../../../model/errors.ts";
import type { RoomId, UserId } from "../../../model/ids.ts";
import { parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import { noMembership, outgoing } from "../outgoing.ts";
import type { TenantAction } from "../../../model/tenant.ts";
import { requireAnyDeed, requireDeed } from "../access.ts";
import type { ActParts } from "../act.ts";
import { nobody, type Caller } from "../caller.ts";
import { passAudited } from "../checks/audited.ts";
import { requireTarget } from "../checks/ownership.ts";

/** What a tenant may make the pseudouser do to a membership, whichever call asks for it. */
export type Doing = "invite" | "kick" | "ban" | "unban";

const ACTION_OF: Readonly<Record<Doing, TenantAction>> = { invite: "invite", kick: "kick", ban: "ban", unban: "ban" };
const RESULT_OF: Readonly<Record<Doing, string>> = { invite: "invite", kick: "leave", ban: "ban", unban: "leave" };

/** Redacts everything that the user sent in the room (MSC4293): the unstable and the future name. */
export const REDACT_EVENTS = ["org.matrix.msc4293.redact_events", "redact_events"] as const;

/**
 * Keys that make a membership more than that: the first names a server that other servers ask for validation (spec,
 * "Third-party invites"), the second a user whose server lets somebody in.
 */
const NEVER = ["third_party_invite", "join_authorised_via_users_server"] as const;

export interface Change {
  readonly roomId: RoomId;
  readonly target: UserId;
  /** Null if only the content's membership says it, as in a state event: a leave may be any of several. */
  readonly doing: Doing | null;
  /** The event's content, with a membership if `doing` is null. */
  readonly content: JsonObject;
  /** Whether the answer names the event, as a state event's does. */
  readonly isState: boolean;
}

/**
 * Invites, kicks or bans a user of no tenant, if the operator allows it. Always sends a state event: the dedicated
 * calls keep only the reason, which loses an invite's direct-chat flag and the tenant's mark.
 */
export async function changeMembership(
  parts: ActParts,
  caller: Caller,
  reply: FastifyReply,
  { roomId, target, doing: asked, content, isState }: Change,
): Promise<FastifyReply> {
  const { tenant, user } = caller;
  refuseHidden(parts, caller, target, asked ?? "set the membership of");
  const membership = asked === null ? stringAt(content, "membership") : RESULT_OF[asked];
  if (asked === null && membership !== "invite" && membership !== "leave" && membership !== "ban") throw noMembership();
  const refused = NEVER.find((key) => Object.hasOwn(content, key));
  if (refused !== undefined) throw new EmissaryError("forbidden", `${refused} is not for tenants to set.`);
  const state = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(target)}`;
  // Otherwise two tenants that change the same user at once would both rely on the old membership.
  return parts.mutex.run(state, async () => {
    const doing = await doingOf(parts, caller, roomId, { asked, membership, state });
    await requireDeed(parts, caller, roomId, { action: ACTION_OF[doing] });
    if (REDACT_EVENTS.some((key) => content[key] === true)) {
      await requireDeed(parts, caller, roomId, { action: "redact-others" });
    }
    const sent = outgoing(
      "membership",
      { ...content, membership: RESULT_OF[doing] },
      {
        type: "m.room.member",
        tenant: tenant.id,
        user,
        isSender: user === tenant.sender,
        isPersona: (userId) => parts.tenants.isPersona(tenant, userId),
        profile: { displayname: null, avatarUrl: null },
        fallback: false,
      },
    );
    for (const named of sent.targets) await requireTarget(parts.upstream, parts.own, tenant, roomId, named);
    return passAudited(parts, tenant, reply, {
      method: "PUT",
      path: state,
      body: sent.content,
      roomId,
      action: `member.${doing}`,
      detail: { user_id: target },
      ...(isState ? {} : { said: {} }),
    });
  });
}

interface Wish {
  readonly asked: Doing | null;
  readonly membership: string | null;
  readonly state: string;
}

/**
 * Returns what the change means, given the current membership: a leave set as state is a kick or lifts a ban, which
 * needs another action. Refuses calls that do not fit, as a homeserver does.
 */
async function doingOf(
  parts: ActParts,
  caller: Caller,
  roomId: RoomId,
  { asked, membership, state }: Wish,
): Promise<Doing> {
  if (membership === "invite" || membership === "ban") return membership;
  // A caller who may not change a membership must not learn it.
  await requireAnyDeed(parts, caller, roomId, asked === null ? ["kick", "ban"] : [ACTION_OF[asked]]);
  const { status, body } = await parts.upstream.answer("GET", state, null);
  if (status !== 200 && status !== 404) {
    throw new EmissaryError("homeserver-error", "Whether the user is in the room cannot be told now; try again.");
  }
  const now = status === 200 ? stringAt(parsedObject(body), "membership") : null;
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
function refuseHidden({ own, tenants }: ActParts, { tenant }: Caller, target: UserId, what: string): void {
  if (target === own) {
    throw new EmissaryError(
      "forbidden",
      `Tenant ${tenant.id} cannot ${what} ${own}, which all tenants share: to come and go, its own users join and leave.`,
    );
  }
  if (tenants.isOthers(tenant, target)) throw nobody(target);
}
