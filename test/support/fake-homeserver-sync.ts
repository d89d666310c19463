import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import type { FakeEvent, FakeRoom } from "./fake-homeserver-rooms.ts";

/** Something sent to a device, given out until the sync after that in which it was. */
export interface ToDevice {
  readonly nr: number;
  readonly event: JsonObject;
}

/** Positions are `s` and the number of the newest event before; in `/sync` also that of the newest message to the device. */
function orderOf(event: FakeEvent): number {
  return Number(event.event_id.slice("$event".length));
}

export function positionOf(token: string | null): number {
  return Number(/^s(\d+)/.exec(token ?? "")?.[1] ?? 0);
}

function newestOf(rooms: Iterable<FakeRoom>): number {
  return Math.max(0, ...[...rooms].map((room) => orderOf(room.timeline.at(-1) as FakeEvent)));
}

/** Whoever asks for a room's events. */
export interface Viewer {
  readonly user: string;
  readonly ignores: ReadonlySet<string>;
}

/** `GET /events?room_id=` with `timeout=0`. As Synapse, the limit counts what the viewer may not see, too. */
export function eventsAfter(
  rooms: Iterable<FakeRoom>,
  room: FakeRoom,
  query: URLSearchParams,
  viewer: Viewer,
): JsonObject {
  const from = query.get("from");
  const newer = room.timeline.filter((event) => orderOf(event) > positionOf(from));
  const page = newer.slice(0, Number(query.get("limit") ?? 10));
  const end = page.length < newer.length ? orderOf(page.at(-1) as FakeEvent) : newestOf(rooms);
  const chunk = page.flatMap((event) => shownTo(room, event, viewer));
  return { chunk, start: from ?? `s${newestOf(rooms)}`, end: `s${end}` };
}

/** The event as its viewer is shown it (spec, "Server behaviour" of history visibility), with their membership (MSC4115); or nothing. */
function shownTo(room: FakeRoom, event: FakeEvent, { user, ignores }: Viewer): FakeEvent[] {
  const before = room.timeline.slice(0, room.timeline.indexOf(event) + 1);
  const stateOf = (type: string, key: string, of: string): string | null =>
    stringAt(before.findLast((each) => each.type === type && each["state_key"] === key)?.content ?? {}, of);
  const membership = stateOf("m.room.member", user, "membership") ?? "leave";
  const visibility = stateOf("m.room.history_visibility", "", "history_visibility");
  const isShown =
    visibility === "world_readable" ||
    membership === "join" ||
    (visibility === "invited" && membership === "invite") ||
    (visibility === "shared" && room.membership(user) === "join");
  if (!isShown || (ignores.has(event.sender) && event["state_key"] === undefined)) return [];
  const unsigned = isJsonObject(event["unsigned"]) ? event["unsigned"] : {};
  return [{ ...event, unsigned: { ...unsigned, membership } }];
}

/** The messages of `GET /rooms/{roomId}/initialSync`. */
export function newestMessages(rooms: Iterable<FakeRoom>, room: FakeRoom, limit: number): JsonObject {
  const chunk = room.timeline.slice(-limit);
  const [first] = chunk;
  return { chunk, start: `s${first === undefined ? 0 : orderOf(first) - 1}`, end: `s${newestOf(rooms)}` };
}

/** `GET /rooms/{roomId}/messages`; forwards from the room's beginning where nothing says from where. */
export function messagesOf(room: FakeRoom, query: URLSearchParams): JsonObject {
  const isForwards = query.get("dir") === "f";
  const newest = orderOf(room.timeline.at(-1) as FakeEvent);
  const from = query.has("from") ? positionOf(query.get("from")) : isForwards ? 0 : newest;
  const to = query.has("to") ? positionOf(query.get("to")) : isForwards ? newest : 0;
  const [after, upTo] = isForwards ? [from, to] : [to, from];
  const within = room.timeline.filter((event) => orderOf(event) > after && orderOf(event) <= upTo);
  const chunk = (isForwards ? within : within.toReversed()).slice(0, Number(query.get("limit") ?? 10));
  const last = chunk.at(-1);
  const end = last === undefined ? {} : { end: `s${orderOf(last) - (isForwards ? 0 : 1)}` };
  return { chunk, start: `s${from}`, ...end };
}

/** The tokens of `GET /rooms/{roomId}/context/{eventId}`, of which `limit` events around are shown. */
export function contextTokens(event: FakeEvent): JsonObject {
  return { start: `s${orderOf(event) - 1}`, end: `s${orderOf(event)}` };
}

/** Whether this was before the server's first user came into the room: of that time the server knows nothing. */
export function isBeforeServer(room: FakeRoom, server: string, token: string | null): boolean {
  const first = room.timeline.find(({ sender }) => sender.endsWith(`:${server}`));
  return token !== null && (first === undefined || positionOf(token) < orderOf(first));
}

/** `GET /sync` of a user, and whether there is something in it. */
export function syncOf(
  rooms: Iterable<FakeRoom>,
  user: string,
  since: string | null,
  toDevice: readonly ToDevice[],
): { readonly body: JsonObject; readonly isNews: boolean } {
  const all = [...rooms];
  const from = positionOf(since);
  const join: Record<string, JsonObject> = {};
  for (const room of all) {
    const events = room.timeline.filter((event) => orderOf(event) > from);
    if (room.membership(user) !== "join" || events.length === 0) continue;
    join[room.id] = { state: { events: [] }, timeline: { events, limited: false, prev_batch: since ?? "s0" } };
  }
  const newest = toDevice.at(-1)?.nr ?? Number(/_(\d+)$/.exec(since ?? "")?.[1] ?? 0);
  const isNews = Object.keys(join).length > 0 || toDevice.length > 0 || since === null;
  const body = {
    next_batch: `s${newestOf(all)}_${newest}`,
    user,
    ...(toDevice.length === 0 ? {} : { to_device: { events: toDevice.map(({ event }) => event) } }),
    ...(Object.keys(join).length === 0 ? {} : { rooms: { join } }),
    device_one_time_keys_count: { signed_curve25519: 50 },
  };
  return { body, isNews };
}
