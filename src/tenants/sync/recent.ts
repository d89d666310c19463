import { isStateEvent, type RoomEvent, type StateEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { written } from "../../model/json.ts";
import type { Tenant } from "../../model/tenant.ts";
import { addresseeOf } from "../../policy/invites.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { Feed } from "../feed/feed.ts";
import type { OpenInvite } from "../store/sync-facts.ts";
import type { SyncFilter } from "./filter.ts";
import type { Numbered } from "./plan.ts";

/** Limits of one step: the number of events and the bytes of their JSON. */
export const LIMITS = { events: 500, bytes: 4 * 1024 * 1024 } as const;

/** Returns the newest `limit` events of each room between two places, oldest first, and the newest invites. */
export async function recentIn(
  feed: Feed,
  tenant: Tenant,
  after: number,
  last: number,
  { limit, filter }: { readonly limit: number; readonly filter: SyncFilter },
): Promise<readonly Numbered[]> {
  const rooms = new Map<RoomId, Numbered[]>();
  const invites: Numbered[] = [];
  /** The number of the newest event by room, type and key. */
  const set = new Map<string, number>();
  for (let seq = after; seq < last;) {
    const { events, upTo, isMore } = await feed.read(tenant, seq, LIMITS, last);
    for (const numbered of events) {
      const { event } = numbered;
      if (event.type === "m.room.member" && event.content["membership"] === "invite") invites.push(numbered);
      if (isStateEvent(event)) set.set(stateKey(event), numbered.seq);
      if (!filter.hasEvent(event)) continue;
      const known = rooms.get(event.room_id);
      if (known === undefined) rooms.set(event.room_id, [numbered]);
      else if (known.push(numbered) > limit) known.shift();
    }
    if (!isMore || upTo <= seq) break;
    seq = upTo;
  }
  const newestFirst = [...(limit === 0 ? [] : [...rooms.values()].flat()), ...invites].sort(
    (one, other) => other.seq - one.seq,
  );
  const shown = new Set(newestFirst.map(({ seq }) => seq));
  // The whole state is in the same answer and applied first: timeline events must not undo newer state.
  const isCurrent = ({ event }: Numbered): boolean => !isStateEvent(event) || shown.has(set.get(stateKey(event)) ?? 0);
  const unique = newestFirst.filter((one, index) => newestFirst[index - 1]?.seq !== one.seq && isCurrent(one));
  let bytes = 0;
  const kept = unique.filter(({ event }) => (bytes += written(event).length) <= LIMITS.bytes);
  return kept.reverse();
}

function stateKey({ room_id: roomId, type, state_key: key }: StateEvent): string {
  return `${roomId}\n${type}\n${key}`;
}

/** Returns the open invites of a tenant's users: the original events if among `recent`, else from the ledger. */
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
