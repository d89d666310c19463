import type { RoomEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import { addresseeOf } from "../../policy/invites.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { LeaseChange, OpenInvite } from "./contracts.ts";
import type { Numbered } from "./plan.ts";

interface InviteParts {
  readonly own: UserId;
  readonly tenants: Pick<Tenants, "isPersona" | "all">;
}

/** Known invites: the open ones, the tenant's rooms, and events that may have more details. */
interface Known {
  readonly open: readonly OpenInvite[];
  readonly leases: ReadonlyMap<RoomId, LeaseChange>;
  readonly recent: readonly Numbered[];
}

/** Returns the open invites of a tenant's users: the original events if available, else from the ledger. */
export function openInvitesOf(
  { own, tenants }: InviteParts,
  tenant: Tenant,
  { open, leases, recent }: Known,
): readonly RoomEvent[] {
  const events = new Map(recent.map(({ event }) => [event.event_id, event]));
  const invites = new Map<RoomId, RoomEvent>();
  for (const invite of open) {
    const { roomId, user, reason } = invite;
    const isMeant =
      user === own ? addresseeOf(reason, roomId, tenants.all())?.id === tenant.id : tenants.isPersona(tenant, user);
    if (!isMeant || leases.has(roomId) || invites.has(roomId)) continue;
    const shown = user === own ? tenant.sender : user;
    invites.set(roomId, events.get(invite.eventId) ?? inviteOf(invite, shown));
  }
  return [...invites.values()];
}

/** Builds an invite whose event is unavailable; it has no time. */
function inviteOf({ roomId, sender, eventId, reason }: OpenInvite, user: UserId): RoomEvent {
  return {
    type: "m.room.member",
    state_key: user,
    sender,
    room_id: roomId,
    event_id: eventId,
    origin_server_ts: 0,
    content: { membership: "invite", ...(reason === null ? {} : { reason }) },
  };
}
