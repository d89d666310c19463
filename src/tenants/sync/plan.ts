import { isStateEvent, type RoomEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { LeaseChange } from "./contracts.ts";
import type { SyncFilter } from "./filter.ts";
import { ownMembership, type Self } from "./own-membership.ts";

/** An event of the journal with its number. */
export interface Numbered {
  readonly seq: number;
  readonly event: RoomEvent;
}

/** What happened between two positions, as the tenant sees it, and the state at the end. */
export interface SyncStep {
  readonly self: Self;
  readonly own: UserId;
  readonly isPersona: (user: UserId) => boolean;
  readonly filter: SyncFilter;
  readonly events: readonly Numbered[];
  readonly changes: readonly LeaseChange[];
  /** Rooms in which the tenant has a lease. */
  readonly present: ReadonlySet<RoomId>;
  /** The journal's number at the end of the step. */
  readonly end: number;
  /** Maximum events of a room's timeline; null for all. */
  readonly limit: number | null;
  /** Whether the whole state of all rooms is requested. */
  readonly isFull: boolean;
  /** Returns the `prev_batch` for a number of the journal. */
  readonly tokenAt: (seq: number) => string;
}

/** What the answer has of one room. */
export interface RoomStep {
  readonly roomId: RoomId;
  readonly timeline: readonly RoomEvent[];
  readonly isLimited: boolean;
  readonly prevBatch: string;
  /** The newest event of each state that was set in the step, if the timeline does not show it. */
  readonly changed: readonly RoomEvent[];
  /** Whether any membership changed. */
  readonly hasMembers: boolean;
  /** Whether the answer has the room's whole state. */
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
  const { filter, changes, present, isFull } = step;
  if (!filter.hasRooms) return { join: [], leave: [], invite: [] };
  const { rooms, invites } = sorted(step);
  const changed = new Map(changes.map((change) => [change.roomId, change]));
  const all = new Set([...changed.keys(), ...rooms.keys(), ...(isFull ? present : [])]);
  const join: RoomStep[] = [];
  const leave: RoomStep[] = [];
  for (const roomId of all) {
    if (!filter.hasRoom(roomId)) continue;
    const change = changed.get(roomId) ?? null;
    const events = rooms.get(roomId) ?? [];
    const isJoined = change === null ? present.has(roomId) : change.ended === null;
    if (isJoined) {
      const ownJoin = change === null ? null : ownMembership(step.self, change);
      const told = roomStep(step, roomId, withJoin(step, ownJoin, events), change !== null, change !== null || isFull);
      if (told.isWhole || told.timeline.length > 0 || told.changed.length > 0) join.push(told);
    } else {
      const last = change === null || hasOwnEnd(events, step.self.user) ? null : ownMembership(step.self, change);
      const told = roomStep(
        step,
        roomId,
        last === null ? events : [...events, { seq: step.end, event: last }],
        false,
        false,
      );
      if (change !== null || told.timeline.length > 0) leave.push(told);
    }
  }
  return { join, leave, invite: [...invites.values()] };
}

/** Invites of the tenant's users to rooms where it has no lease are kept apart: they belong to no joined room. */
function sorted({ events, own, isPersona, present }: SyncStep) {
  const rooms = new Map<RoomId, Numbered[]>();
  const invites = new Map<RoomId, RoomEvent>();
  for (const numbered of events) {
    const { event } = numbered;
    const member = event.type === "m.room.member" ? event.state_key : undefined;
    if (member === own) continue;
    const isInvite = member !== undefined && event.content["membership"] === "invite" && isPersona(member as UserId);
    if (isInvite && !present.has(event.room_id)) {
      invites.set(event.room_id, event);
      continue;
    }
    const known = rooms.get(event.room_id);
    if (known === undefined) rooms.set(event.room_id, [numbered]);
    else known.push(numbered);
  }
  return { rooms, invites };
}

/** Puts the own join first; in a room that the user made, after `m.room.create`. */
function withJoin({ end }: SyncStep, event: RoomEvent | null, events: readonly Numbered[]): readonly Numbered[] {
  if (event === null) return events;
  const at = events[0]?.event.type === "m.room.create" ? 1 : 0;
  return [...events.slice(0, at), { seq: events[at]?.seq ?? end + 1, event }, ...events.slice(at)];
}

/** Whether the events already show the user's removal, with its sender and reason. */
function hasOwnEnd(events: readonly Numbered[], user: UserId): boolean {
  return events.some(({ event }) => {
    const { membership } = event.content;
    return (
      event.type === "m.room.member" && event.state_key === user && (membership === "leave" || membership === "ban")
    );
  });
}

function roomStep(
  { filter, limit, end, tokenAt }: SyncStep,
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
    prevBatch: tokenAt(kept[0] === undefined ? end : kept[0].seq - 1),
    changed,
    hasMembers: events.some(({ event }) => event.type === "m.room.member"),
    isWhole,
  };
}

function keyOf({ type, state_key: key = "" }: RoomEvent): string {
  return `${type}\n${key}`;
}
