import type { RoomEvent } from "../../model/event.ts";
import type { EventId, UserId } from "../../model/ids.ts";
import type { Profile } from "../../model/persona.ts";
import { profileJson } from "../act/users/persona-member.ts";
import type { LeaseChange } from "./contracts.ts";

/** The user that syncs. */
export interface Self {
  readonly user: UserId;
  readonly profile: Profile;
  /** The name of this opening of the database. */
  readonly opening: string;
}

/**
 * Returns a lease change as the tenant's own membership event. Clients know events by their IDs, and change numbers
 * may repeat after a restore, so the ID contains the opening.
 */
export function ownMembership({ user, profile, opening }: Self, { change, roomId, at, ended }: LeaseChange): RoomEvent {
  const membership = ended === null ? "join" : ended === "banned" ? "ban" : "leave";
  return {
    type: "m.room.member",
    state_key: user,
    sender: user,
    room_id: roomId,
    event_id: `$emissary_lease_${opening}_${change}` as EventId,
    origin_server_ts: at,
    content: ended === null ? { membership, ...profileJson(profile) } : { membership, reason: ended },
    unsigned: {},
  };
}
