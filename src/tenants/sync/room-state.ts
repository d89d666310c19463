import { EmissaryError } from "../../model/errors.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { UserId } from "../../model/ids.ts";
import { isAttendance, fromWire } from "../../model/persona.ts";
import type { JsonObject } from "../../model/json.ts";
import type { RoomStates } from "../../ledger/loading/homeserver-states.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { SqlitePersonaStore } from "../store/personas.ts";
import type { Clock } from "../../model/clock.ts";
import { personaMember } from "../act/users/persona-member.ts";
import type { SqliteSentStore } from "../store/sent.ts";
import type { SyncFactsStore } from "../store/sync-facts.ts";
import type { LazyMembers } from "./lazy-members.ts";
import { ownMembership, type RoomStep, type SyncStep } from "./plan.ts";
import { HeadCount } from "./summary.ts";

export interface AnswerParts {
  readonly own: UserId;
  readonly tenants: Pick<Tenants, "viewerOf">;
  readonly personas: Pick<SqlitePersonaStore, "inRoom">;
  readonly states: RoomStates;
  readonly facts: Pick<SyncFactsStore, "headsIn">;
  readonly lazyMembers: Pick<LazyMembers, "of">;
  readonly sent: Pick<SqliteSentStore, "txnIdsOf">;
  readonly clock: Clock;
}

/** A part of a room's state; the last one has its summary. */
export interface StatePart {
  readonly events: readonly RoomEvent[];
  readonly summary?: JsonObject;
}

/**
 * Streams a room's whole state as the tenant sees it, without what the timeline shows. If the homeserver refuses, the
 * room is empty: the pseudouser may have been removed, which the next sync tells.
 * @throws EmissaryError `homeserver-unreachable`; any error after the first part
 */
export async function* wholeState(
  { own, tenants, personas, states }: AnswerParts,
  { tenant, filter, self, leases }: SyncStep,
  { roomId, timeline }: RoomStep,
  now: number,
  gone: AbortSignal,
): AsyncGenerator<StatePart> {
  const user = tenant.sender;
  const inRoom = await personas.inRoom(tenant.id, roomId);
  const viewer = tenants.viewerOf(tenant);
  const heads = new HeadCount(own, user, inRoom);
  const shown = new Set(timeline.map(({ event_id: id }) => id));
  const spoke = new Set<string>(timeline.map(({ sender }) => sender));
  const isMeant = (member: string): boolean =>
    !filter.isLazy || member === user || spoke.has(member) || heads.isHero(member);
  let isBegun = false;
  try {
    for await (const part of states.stream(roomId, gone)) {
      isBegun = true;
      const events: RoomEvent[] = [];
      for (const event of part) {
        heads.see(event);
        if (shown.has(event.event_id)) continue;
        const isMember = event.type === "m.room.member";
        const isHidden = isMember && (heads.hides(event.state_key) || isAttendance(event, viewer));
        if (isHidden || (isMember && !isMeant(event.state_key))) continue;
        const seen = fromWire(event, viewer);
        if (filter.hasState(seen)) events.push(seen);
      }
      yield { events };
    }
  } catch (error) {
    const isRefused = error instanceof EmissaryError && error.code !== "homeserver-unreachable" && !isBegun;
    if (!isRefused) throw error;
  }
  // The tenant's own membership, for a room where only its personas are, and theirs.
  const ownMember = ownMembership(self, leases.get(roomId) ?? { change: 0, roomId, at: now, ended: null });
  const others = inRoom.filter(({ userId }) => userId !== user);
  const mine = [ownMember, ...others.map((one) => personaMember(roomId, one, ownMember.origin_server_ts))];
  const isOwnShown = timeline.some(({ type, state_key: key }) => type === "m.room.member" && key === user);
  const events = mine.filter(
    (event) =>
      isMeant(event.sender) &&
      !(isOwnShown && event.sender === user) &&
      !shown.has(event.event_id) &&
      filter.hasState(event),
  );
  yield { events, summary: heads.summary };
}
