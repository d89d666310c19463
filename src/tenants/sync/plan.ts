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

/** What happened between two positions, as the tenant sees it, and where it is at the end. */
export interface SyncStep {
  readonly self: Self;
  readonly own: UserId;
  readonly isPersona: (user: UserId) => boolean;
  readonly filter: SyncFilter;
  readonly events: readonly Numbered[];
  readonly changes: readonly LeaseChange[];
  /** Rooms that the tenant has a lease in. */
  readonly present: ReadonlySet<RoomId>;
  /** The number of the journal that the step ends with. */
  readonly end: number;
  /** Events of a room's timeline at most; null where all that there are. */
  readonly limit: number | null;
  /** Of all rooms the whole state is asked for. */
  readonly isFull: boolean;
  /** What `prev_batch` is at a place of the journal. */
  readonly tokenAt: (seq: number) => string;
}

/** What of a room is told. */
export interface RoomStep {
  readonly roomId: RoomId;
  readonly timeline: readonly RoomEvent[];
  readonly isLimited: boolean;
  readonly prevBatch: string;
  /** The newest of each state that was set in the step, where the timeline does not show it. */
  readonly changed: readonly RoomEvent[];
  /** Whether somebody came or went. */
  readonly hasMembers: boolean;
  /** The room's whole state is told. */
  readonly isWhole: boolean;
}

export interface SyncPlan {
  readonly join: readonly RoomStep[];
  readonly leave: readonly RoomStep[];
  readonly invite: readonly RoomEvent[];
}

/**
 * Which rooms an answer to `/sync` has (spec, CS API, "Syncing"), and what of each. A tenant's user is in no room as far as Matrix goes, so its
 * coming and going are told by membership events that are made here, of the lease: without them an SDK does not notice either.
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

/** Invites of the tenant's users into rooms that it is not in are apart: such an invite is of no room that it has joined. */
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

/** First of all, but in a room that the user made: nobody is in a room before that is made. */
function withJoin({ end }: SyncStep, event: RoomEvent | null, events: readonly Numbered[]): readonly Numbered[] {
  if (event === null) return events;
  const at = events[0]?.event.type === "m.room.create" ? 1 : 0;
  return [...events.slice(0, at), { seq: events[at]?.seq ?? end + 1, event }, ...events.slice(at)];
}

/** Whether the events say themselves that the user was put out: who did it, and why. */
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
    // The timeline is read after the state: what it has may not take back something newer there.
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
