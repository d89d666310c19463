import type { RoomEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { revisionOf } from "../../model/json-text.ts";
import { written, type JsonObject } from "../../model/json.ts";
import { isAttendance, fromWire } from "../../model/persona.ts";
import type { Tenant } from "../../model/tenant.ts";
import { personaMember } from "../act/users/persona-member.ts";
import { clientEvent, inviteState } from "./client-event.ts";
import type { LeaseChange, SentTransactions, SyncFacts } from "./contracts.ts";
import type { SyncFilter } from "./filter.ts";
import type { LazyMembers } from "./lazy-members.ts";
import { ownMembership, type Self } from "./own-membership.ts";
import { ahead } from "./packed.ts";
import type { RoomStep, SyncPlan } from "./plan.ts";
import { wholeState, type RoomStateParts, type StatePart } from "./room-state.ts";
import { summaryOf } from "./summary.ts";

export interface AnswerParts extends RoomStateParts {
  readonly facts: Pick<SyncFacts, "headsIn">;
  readonly lazyMembers: Pick<LazyMembers, "of">;
  readonly sent: SentTransactions;
}

/** An answer that is ready to be written. */
export interface Answer {
  readonly tenant: Tenant;
  readonly self: Self;
  readonly filter: SyncFilter;
  readonly plan: SyncPlan;
  readonly next: string;
  /** The tenant's leases in the rooms whose whole state is included. */
  readonly leases: ReadonlyMap<RoomId, LeaseChange>;
  readonly now: number;
}

type Show = (event: RoomEvent) => JsonObject;

/** Rooms whose state is requested ahead of their turn. */
const AHEAD = 3;

/** Parts that tenants never get; clients expect them nonetheless. */
const NOTHING = {
  account_data: { events: [] },
  presence: { events: [] },
  to_device: { events: [] },
  device_lists: { changed: [], left: [] },
  device_one_time_keys_count: {},
  device_unused_fallback_key_types: [],
};
const NO_NOTIFICATIONS = { notification_count: 0, highlight_count: 0 };

/**
 * Streams the answer to `GET /sync` (spec, CS API, "Syncing"). Rooms' state passes through and is never held whole.
 * @throws EmissaryError if the homeserver does not give a room's state
 */
export async function* answerTexts(parts: AnswerParts, answer: Answer, gone: AbortSignal): AsyncGenerator<string> {
  const { tenant, self, filter, plan, leases, now } = answer;
  const { join, leave, invite } = plan;
  const said = [...join, ...leave].flatMap(({ timeline }) => timeline.map(({ event_id }) => event_id));
  const txnIds = await parts.sent.txnIdsOf(tenant.id, said);
  const show: Show = (event) =>
    revisionOf(event, filter.shown(clientEvent(event, txnIds.get(event.event_id) ?? null, now)));
  yield `{"next_batch":${JSON.stringify(answer.next)},${written(NOTHING).slice(1, -1)},"rooms":{"invite":{`;
  for (const [index, event] of invite.entries()) {
    yield `${index === 0 ? "" : ","}${JSON.stringify(event.room_id)}:${written({ invite_state: { events: inviteState(event) } })}`;
  }
  yield `},"leave":{`;
  for (const [index, step] of leave.entries()) {
    const room = {
      state: { events: step.changed.map(show) },
      ...timelineOf(step, self.user, show),
      account_data: { events: [] },
    };
    yield `${index === 0 ? "" : ","}${JSON.stringify(step.roomId)}:${written(room)}`;
  }
  yield `},"join":{`;
  let isFirst = true;
  const begin = ({ roomId }: RoomStep): string => {
    const comma = isFirst ? "" : ",";
    isFirst = false;
    return `${comma}${JSON.stringify(roomId)}:{"state":{"events":[`;
  };
  for (const step of join) {
    if (step.isWhole) continue;
    const state = [...step.changed, ...(await membersFor(parts, answer, step))];
    yield `${begin(step)}${state.map((event) => written(show(event))).join(",")}]},`;
    yield restOf(step, self.user, show, step.hasMembers ? await summaryFrom(parts, tenant, step.roomId) : {});
  }
  const whole = join.filter(({ isWhole }) => isWhole);
  const open = (step: RoomStep): AsyncGenerator<StatePart> => {
    const { roomId, timeline } = step;
    const lease = leases.get(roomId) ?? { change: 0, roomId, at: now, ended: null };
    return wholeState(parts, tenant, { roomId, filter, ownMember: ownMembership(self, lease), timeline }, gone);
  };
  for await (const [step, state] of ahead(whole, AHEAD, open)) {
    yield begin(step);
    let summary: JsonObject = {};
    let comma = "";
    for await (const part of state) {
      if (part.events === null) {
        summary = part.summary;
        continue;
      }
      for (const event of part.events) {
        yield `${comma}${written(show(event))}`;
        comma = ",";
      }
    }
    yield "]},";
    yield restOf(step, self.user, show, summary);
  }
  yield "}}}";
}

/** Returns the JSON after a joined room's state. */
function restOf(step: RoomStep, user: UserId, show: Show, summary: JsonObject): string {
  const rest = {
    ...timelineOf(step, user, show),
    ephemeral: { events: [] },
    account_data: { events: [] },
    unread_notifications: NO_NOTIFICATIONS,
    summary,
  };
  return written(rest).slice(1);
}

function timelineOf(step: RoomStep, user: UserId, show: Show) {
  const { timeline, isLimited, prevBatch } = step;
  const events = timeline.map((event) => show(withMembership(event, user)));
  return { timeline: { events, limited: isLimited, prev_batch: prevBatch } };
}

/** Adds the user's membership at the time (spec, `unsigned.membership`): joined, or what the event itself set. */
function withMembership(event: RoomEvent, user: UserId): RoomEvent {
  const isOwn = event.type === "m.room.member" && event.state_key === user;
  const membership = isOwn ? (event.content["membership"] ?? "join") : "join";
  return revisionOf(event, { ...event, unsigned: { ...event.unsigned, membership } });
}

/** Returns the memberships of the timeline's senders, if the client loads members lazily. */
async function membersFor(
  { personas, tenants, lazyMembers }: AnswerParts,
  { tenant, filter, self, leases, now }: Answer,
  { roomId, timeline, changed }: RoomStep,
): Promise<readonly RoomEvent[]> {
  if (!filter.isLazy || timeline.length === 0) return [];
  const told = new Set<string | undefined>(
    [...timeline, ...changed].flatMap(({ type, state_key: key }) => (type === "m.room.member" ? [key] : [])),
  );
  const senders = [...new Set(timeline.map(({ sender }) => sender))].filter((user) => !told.has(user));
  const viewer = tenants.viewerOf(tenant);
  const inRoom = await personas.inRoom(tenant.id, roomId);
  const at = leases.get(roomId)?.at ?? now;
  const mine = inRoom.filter(({ userId }) => senders.includes(userId)).map((one) => personaMember(roomId, one, at));
  const known = new Set<UserId>([...mine.map(({ sender }) => sender), self.user]);
  const others = await lazyMembers.of(
    roomId,
    senders.filter((user) => !known.has(user)),
  );
  const shown = others.filter((event) => !isAttendance(event, viewer)).map((event) => fromWire(event, viewer));
  return [...mine, ...shown].filter(filter.hasState);
}

async function summaryFrom({ facts, own }: AnswerParts, tenant: Tenant, roomId: RoomId): Promise<JsonObject> {
  const heads = await facts.headsIn(roomId, { tenant: tenant.id, user: tenant.sender, own });
  return heads === null ? {} : summaryOf(heads);
}
