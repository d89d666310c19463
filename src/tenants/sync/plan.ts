import { isStateEvent, type RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import type { Profile } from "../../model/persona.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Position } from "../../ledger/openings.ts";
import { profileJson } from "../act/users/persona-member.ts";
import type { LeaseChange } from "../store/lease-changes.ts";
import type { SyncFilter } from "./filter.ts";
import { tokenOf } from "./token.ts";

export interface Numbered {
  readonly seq: number;
  readonly event: RoomEvent;
}

export interface Self {
  readonly user: UserId;
  readonly profile: Profile;
  /** The name of this opening of the database. */
  readonly opening: string;
}

/** What happened between two positions, as the tenant sees it, and the state at the end. */
export interface SyncStep {
  readonly tenant: Tenant;
  readonly self: Self;
  readonly own: UserId;
  readonly isPersona: (user: UserId) => boolean;
  readonly filter: SyncFilter;
  readonly at: Position;
  readonly events: readonly Numbered[];
  readonly changes: readonly LeaseChange[];
  readonly leases: ReadonlyMap<RoomId, LeaseChange>;
  /** Maximum events of a room's timeline; null for all. */
  readonly limit: number | null;
  readonly isFull: boolean;
}

export interface RoomStep {
  readonly roomId: RoomId;
  readonly timeline: readonly RoomEvent[];
  readonly isLimited: boolean;
  readonly prevBatch: string;
  /** The newest event of each state that was set in the step, if the timeline does not show it. */
  readonly changed: readonly RoomEvent[];
  readonly hasMembers: boolean;
  readonly isWhole: boolean;
}

export interface SyncPlan {
  readonly join: readonly RoomStep[];
  readonly leave: readonly RoomStep[];
  readonly invite: readonly RoomEvent[];
}

/**
 * Decides which rooms an answer to `/sync` has (spec, CS API, "Syncing"), and what of each. The homeserver does not
 * know the tenant's user, so membership events made here from the lease show SDKs its joins and leaves.
 */
export function planOf(step: SyncStep): SyncPlan {
  const { filter, changes, leases, isFull, self, at } = step;
  if (!filter.hasRooms) return { join: [], leave: [], invite: [] };
  const { rooms, invites } = sorted(step);
  const changed = new Map(changes.map((change) => [change.roomId, change]));
  const all = new Set([...changed.keys(), ...rooms.keys(), ...(isFull ? leases.keys() : [])]);
  const join: RoomStep[] = [];
  const leave: RoomStep[] = [];
  for (const roomId of all) {
    if (!filter.hasRoom(roomId)) continue;
    const change = changed.get(roomId) ?? null;
    const event = change === null ? null : ownMembership(self, change);
    const events = rooms.get(roomId) ?? [];
    if (change === null ? leases.has(roomId) : change.ended === null) {
      const room = roomStep(step, roomId, withJoin(step, event, events), event !== null, event !== null || isFull);
      if (room.isWhole || room.timeline.length > 0 || room.changed.length > 0) join.push(room);
    } else {
      const last = event === null || hasOwnEnd(events, self.user) ? [] : [{ seq: at.seq, event }];
      const room = roomStep(step, roomId, [...events, ...last], false, false);
      if (change !== null || room.timeline.length > 0) leave.push(room);
    }
  }
  return { join, leave, invite: [...invites.values()] };
}

/** Invites of the tenant's users to rooms where it has no lease are kept apart: they belong to no joined room. */
function sorted({ events, own, isPersona, leases }: SyncStep) {
  const invites = new Map<RoomId, RoomEvent>();
  const others = events.filter(({ event }) => {
    const member = event.type === "m.room.member" ? event.state_key : undefined;
    if (member === own) return false;
    const isInvite = member !== undefined && event.content["membership"] === "invite" && isPersona(member as UserId);
    if (!isInvite || leases.has(event.room_id)) return true;
    invites.set(event.room_id, event);
    return false;
  });
  return { rooms: Map.groupBy(others, ({ event }) => event.room_id), invites };
}

/** Puts the own join first; in a room that the user made, after `m.room.create`. */
function withJoin(step: SyncStep, event: RoomEvent | null, events: readonly Numbered[]): readonly Numbered[] {
  if (event === null) return events;
  const at = events[0]?.event.type === "m.room.create" ? 1 : 0;
  return events.toSpliced(at, 0, { seq: events[at]?.seq ?? step.at.seq + 1, event });
}

/** Whether the events already show the user's removal, with its sender and reason. */
function hasOwnEnd(events: readonly Numbered[], user: UserId): boolean {
  return events.some(({ event: { type, state_key: key, content } }) => {
    const isEnd = content["membership"] === "leave" || content["membership"] === "ban";
    return type === "m.room.member" && key === user && isEnd;
  });
}

function roomStep(
  { filter, limit, at }: SyncStep,
  roomId: RoomId,
  events: readonly Numbered[],
  isNew: boolean,
  isWhole: boolean,
): RoomStep {
  const newest = new Map<string, RoomEvent>();
  for (const { event } of events) if (isStateEvent(event)) newest.set(keyOf(event), event);
  const passing = events.filter(({ event }) => filter.hasEvent(event));
  const kept = limit === null ? passing : passing.slice(Math.max(0, passing.length - limit));
  const shown = new Set(kept.map(({ event }) => event.event_id));
  const changed = [...newest.values()].filter((event) => !shown.has(event.event_id) && filter.hasState(event));
  const replaced = new Set(changed.map(keyOf));
  return {
    roomId,
    // Clients apply the timeline after the state: its state events must not undo newer ones there.
    timeline: kept.map(({ event }) => event).filter((event) => !isStateEvent(event) || !replaced.has(keyOf(event))),
    isLimited: isNew || passing.length > kept.length,
    prevBatch: tokenOf({ ...at, seq: kept[0] === undefined ? at.seq : kept[0].seq - 1 }),
    changed,
    hasMembers: events.some(({ event }) => event.type === "m.room.member"),
    isWhole,
  };
}

function keyOf({ type, state_key: key = "" }: RoomEvent): string {
  return `${type}\n${key}`;
}

/** Returns a lease change as the tenant's own membership. IDs have the opening: numbers repeat after a restore. */
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
