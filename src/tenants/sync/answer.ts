import type { RoomEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { revisionOf } from "../../model/json-text.ts";
import { without, written, type JsonObject, type JsonValue } from "../../model/json.ts";
import { isAttendance, fromWire } from "../../model/persona.ts";
import type { Tenant } from "../../model/tenant.ts";
import { personaMember } from "../act/users/persona-member.ts";
import { ahead } from "./packed.ts";
import type { RoomStep, SyncPlan, SyncStep } from "./plan.ts";
import { wholeState, type AnswerParts } from "./room-state.ts";
import { summaryOf } from "./summary.ts";
import { tokenOf } from "./token.ts";

export interface Answer {
  readonly step: SyncStep;
  readonly plan: SyncPlan;
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

/** Keys that homeservers send to appservices both here and in `unsigned`; and the room, which the answer names. */
const NOT_SHOWN = [
  "room_id",
  "user_id",
  "age",
  "prev_content",
  "replaces_state",
  "redacted_because",
  "invite_room_state",
];

/** Streams the answer to `GET /sync` (spec, CS API, "Syncing"). Rooms' state passes through and is never held whole. */
export async function* answerTexts(
  parts: AnswerParts,
  { step, plan: { join, leave, invite } }: Answer,
  gone: AbortSignal,
): AsyncGenerator<string> {
  const { tenant, self, filter, at } = step;
  const now = parts.clock.now();
  const said = [...join, ...leave].flatMap(({ timeline }) => timeline.map(({ event_id }) => event_id));
  const txnIds = await parts.sent.txnIdsOf(tenant.id, said);
  const show: Show = (event) =>
    revisionOf(event, filter.shown(clientEvent(event, txnIds.get(event.event_id) ?? null, now)));
  yield `{"next_batch":${JSON.stringify(tokenOf(at))},${written(NOTHING).slice(1, -1)},"rooms":{"invite":{`;
  for (const [index, event] of invite.entries()) {
    yield `${nameOf(event.room_id, index === 0)}${written({ invite_state: { events: inviteState(event) } })}`;
  }
  yield `},"leave":{`;
  for (const [index, room] of leave.entries()) {
    const state = { events: room.changed.map(show) };
    const shown = { state, ...timelineOf(room, self.user, show), account_data: { events: [] } };
    yield `${nameOf(room.roomId, index === 0)}${written(shown)}`;
  }
  yield `},"join":{`;
  let isFirst = true;
  const begin = ({ roomId }: RoomStep): string => {
    const name = nameOf(roomId, isFirst);
    isFirst = false;
    return `${name}{"state":{"events":[`;
  };
  for (const room of join) {
    if (room.isWhole) continue;
    const state = [...room.changed, ...(await membersFor(parts, step, room, now))];
    yield `${begin(room)}${state.map((event) => written(show(event))).join(",")}]},`;
    yield restOf(room, self.user, show, room.hasMembers ? await summaryFrom(parts, tenant, room.roomId) : {});
  }
  const whole = join.filter(({ isWhole }) => isWhole);
  for await (const [room, state] of ahead(whole, AHEAD, (one) => wholeState(parts, step, one, now, gone))) {
    yield begin(room);
    let summary: JsonObject = {};
    let comma = "";
    for await (const part of state) {
      summary = part.summary ?? summary;
      for (const event of part.events) {
        yield `${comma}${written(show(event))}`;
        comma = ",";
      }
    }
    yield "]},";
    yield restOf(room, self.user, show, summary);
  }
  yield "}}}";
}

function nameOf(roomId: RoomId, isFirst: boolean): string {
  return `${isFirst ? "" : ","}${JSON.stringify(roomId)}:`;
}

function restOf(room: RoomStep, user: UserId, show: Show, summary: JsonObject): string {
  const rest = {
    ...timelineOf(room, user, show),
    ephemeral: { events: [] },
    account_data: { events: [] },
    unread_notifications: NO_NOTIFICATIONS,
    summary,
  };
  return written(rest).slice(1);
}

function timelineOf({ timeline, isLimited, prevBatch }: RoomStep, user: UserId, show: Show) {
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
  { tenant, filter, self, leases }: SyncStep,
  { roomId, timeline, changed }: RoomStep,
  now: number,
): Promise<readonly RoomEvent[]> {
  if (!filter.isLazy || timeline.length === 0) return [];
  const shown = new Set<string | undefined>(
    [...timeline, ...changed].flatMap(({ type, state_key: key }) => (type === "m.room.member" ? [key] : [])),
  );
  const senders = new Set(timeline.flatMap(({ sender }) => (shown.has(sender) ? [] : [sender])));
  const viewer = tenants.viewerOf(tenant);
  const inRoom = await personas.inRoom(tenant.id, roomId);
  const at = leases.get(roomId)?.at ?? now;
  const mine = inRoom.filter(({ userId }) => senders.has(userId)).map((one) => personaMember(roomId, one, at));
  const known = new Set([...mine.map(({ sender }) => sender), self.user]);
  const found = await lazyMembers.of(
    roomId,
    [...senders].filter((user) => !known.has(user)),
  );
  const others = found.filter((event) => !isAttendance(event, viewer)).map((event) => fromWire(event, viewer));
  return [...mine, ...others].filter(filter.hasState);
}

async function summaryFrom({ facts, own }: AnswerParts, tenant: Tenant, roomId: RoomId): Promise<JsonObject> {
  const heads = await facts.headsIn(roomId, { tenant: tenant.id, user: tenant.sender, own });
  return heads === null ? {} : summaryOf(heads);
}

/** Returns an event as `/sync` shows it (spec, CS API, "ClientEventWithoutRoomID"). */
function clientEvent(event: RoomEvent, txnId: string | null, now: number): JsonObject {
  const { unsigned = {}, ...rest } = event;
  const age = typeof unsigned["age"] === "number" ? { age: Math.max(0, now - event.origin_server_ts) } : {};
  const sent = txnId === null ? {} : { transaction_id: txnId };
  return { ...without({ ...rest }, ...NOT_SHOWN), unsigned: { ...unsigned, ...age, ...sent } };
}

/** Returns an invite's stripped state, with the invite itself last (spec, CS API, "Stripped state"). */
function inviteState({ type, state_key: key = "", sender, content, unsigned }: RoomEvent): JsonValue[] {
  const stripped = unsigned?.["invite_room_state"];
  return [...(Array.isArray(stripped) ? stripped : []), { type, state_key: key, sender, content }];
}
