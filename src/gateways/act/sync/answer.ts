import type { RoomEvent } from "../../../model/event.ts";
import type { RoomId, UserId } from "../../../model/ids.ts";
import type { JsonObject, JsonValue } from "../../../model/json.ts";
import type { LeaseChange } from "./contracts.ts";

/** One step of a sync: what happened in a tenant's rooms between two positions. */
export interface SyncStep {
  readonly user: UserId;
  /** The name of this opening of the database. */
  readonly opening: string;
  readonly next: string;
  readonly events: readonly RoomEvent[];
  readonly changes: readonly LeaseChange[];
  /** State of the rooms that are new to the tenant, by room. */
  readonly states: ReadonlyMap<RoomId, readonly RoomEvent[]>;
}

interface JoinedRoom {
  readonly state: { readonly events: readonly RoomEvent[] };
  readonly timeline: { readonly events: JsonObject[]; readonly limited: boolean };
}

/**
 * The answer to `GET /sync` (spec, CS API, "Syncing"). A tenant's user is in no room as far as Matrix goes, so its coming and going
 * are told by membership events that are made here, of the lease: without them an SDK does not notice either.
 */
export function syncAnswer({ user, opening, next, events, changes, states }: SyncStep): JsonObject {
  const join: Record<string, JoinedRoom> = {};
  const leave: Record<string, JsonValue> = {};
  const invite: Record<string, JsonValue> = {};
  for (const change of changes) {
    if (change.ended === null) {
      const state = { events: states.get(change.roomId) ?? [] };
      join[change.roomId] = { state, timeline: { events: [membershipOf(user, opening, change)], limited: true } };
    } else {
      const timeline = { events: [membershipOf(user, opening, change)], limited: false };
      leave[change.roomId] = { state: { events: [] }, timeline };
    }
  }
  for (const event of events) {
    const { room_id: roomId } = event;
    if (leave[roomId] !== undefined) continue;
    if (isInviteOf(user, event)) {
      if (join[roomId] === undefined) invite[roomId] = { invite_state: { events: inviteState(event) } };
      continue;
    }
    join[roomId] ??= { state: { events: [] }, timeline: { events: [], limited: false } };
    join[roomId].timeline.events.push(event as unknown as JsonObject);
  }
  return {
    next_batch: next,
    rooms: { join: join as unknown as JsonObject, invite, leave },
    account_data: { events: [] },
    presence: { events: [] },
    to_device: { events: [] },
    device_lists: { changed: [], left: [] },
    device_one_time_keys_count: {},
  };
}

export function isInviteOf(user: UserId, event: RoomEvent): boolean {
  return event.type === "m.room.member" && event.state_key === user && event.content["membership"] === "invite";
}

function inviteState(event: RoomEvent): JsonValue[] {
  const given = event.unsigned?.["invite_room_state"];
  return [...(Array.isArray(given) ? given : []), event as unknown as JsonObject];
}

/** Clients know events by their IDs, and a change's number may come again after a restore: so the opening is in it. */
function membershipOf(user: UserId, opening: string, { change, roomId, at, ended }: LeaseChange): JsonObject {
  const membership = ended === null ? "join" : ended === "banned" ? "ban" : "leave";
  return {
    type: "m.room.member",
    state_key: user,
    sender: user,
    room_id: roomId,
    event_id: `$emissary_lease_${opening}_${change}`,
    origin_server_ts: at,
    content: ended === null ? { membership } : { membership, reason: ended },
    unsigned: {},
  };
}
