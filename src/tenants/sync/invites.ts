import type { RoomEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import { addresseeOf } from "../../policy/invites.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { OpenInvite } from "../store/sync-facts.ts";
import type { Numbered } from "./plan.ts";

/**
 * Returns the open invites of a tenant's users: the original events if available, else from the ledger.
 * @param rooms the tenant's rooms
 * @param recent events that may have more details
 */
export function openInvitesOf(
  { own, tenants }: { readonly own: UserId; readonly tenants: Pick<Tenants, "isPersona" | "all"> },
  tenant: Tenant,
  open: readonly OpenInvite[],
  rooms: ReadonlyMap<RoomId, unknown>,
  recent: readonly Numbered[],
): readonly RoomEvent[] {
  const events = new Map(recent.map(({ event }) => [event.event_id, event]));
  const invites = new Map<RoomId, RoomEvent>();
  for (const invite of open) {
    const { roomId, user, reason, eventId } = invite;
    const isMeant =
      user === own ? addresseeOf(reason, roomId, tenants.all())?.id === tenant.id : tenants.isPersona(tenant, user);
    if (!isMeant || rooms.has(roomId) || invites.has(roomId)) continue;
    invites.set(roomId, events.get(eventId) ?? inviteOf(invite, user === own ? tenant.sender : user));
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
