import { linksOf, type Link } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { objectAt, stringAt, without, written, type JsonObject } from "../../model/json.ts";
import type { RoomRest } from "../homeserver/open-room.ts";
import type { EventsPage, PeekedRooms, RoomBeginning } from "../homeserver/peeked-rooms.ts";
import type { PeekFilter } from "./filter.ts";

/** Events in a request, and the most requests before the room is sent from its end, as to a new device. */
const PAGE = 100;
const MAX_PAGES = 5;

export interface Look {
  readonly rooms: Pick<PeekedRooms, "events">;
  readonly token: string;
  readonly roomId: RoomId;
  readonly filter: PeekFilter;
  readonly abort: AbortSignal;
}

export interface News {
  /** The room in the form of `/sync`; null if there is nothing to send. */
  readonly told: JsonObject | null;
  /** Positions of its beginning and end. */
  readonly start: string;
  readonly end: string;
  /** All events of the room that the homeserver showed, sent or not. */
  readonly eventIds: ReadonlySet<string>;
  /** The links of these events; null if the homeserver does not say them. */
  readonly links: readonly Link[] | null;
}

/** The part of a large room that is streamed. */
export interface StreamedRest {
  readonly rest: RoomRest;
  readonly hasState: (event: JsonObject) => boolean;
}

/** Builds the first answer about a room. Its state is that before the timeline, if the homeserver has that. */
export function roomFromBeginning(
  { state, events, start, accountData, rest }: RoomBeginning,
  filter: PeekFilter,
): { readonly told: JsonObject; readonly rest: StreamedRest | null } {
  const shown = new Set(events.map((event) => event["event_id"]));
  const hasState = (event: JsonObject): boolean => !shown.has(event["event_id"] ?? null) && filter.hasState(event);
  const timeline = {
    events: events.filter((event) => filter.hasEvent(event)),
    limited: !events.some((event) => event["type"] === "m.room.create"),
    ...(start === null ? {} : { prev_batch: start }),
  };
  const told = roomOf(
    state.filter((event) => hasState(event)),
    timeline,
    [...accountData],
  );
  return { told, rest: rest === null ? null : { rest, hasState } };
}

function roomOf(state: JsonObject[], timeline: JsonObject, accountData: JsonObject[]): JsonObject {
  return { state: { events: state }, timeline, ephemeral: { events: [] }, account_data: { events: accountData } };
}

/** Streams the room with the rest as it comes. */
export async function* writtenRoom(told: JsonObject, { rest, hasState }: StreamedRest): AsyncGenerator<string> {
  const head = without(told, "state", "account_data");
  yield `${written(head).slice(0, -1)},"state":{"events":[`;
  let isFirst = true;
  for await (const part of rest.state()) {
    const events = part.filter((event) => hasState(event));
    if (events.length === 0) continue;
    yield `${isFirst ? "" : ","}${events.map((event) => written(event)).join()}`;
    isFirst = false;
  }
  yield `]},"account_data":{"events":${written(rest.after().accountData)}}}`;
}

/** Returns the room with all the rest, for callers that need it whole. */
export async function wholeRoom(told: JsonObject, { rest, hasState }: StreamedRest): Promise<JsonObject> {
  const state: JsonObject[] = [];
  for await (const part of rest.state(true)) state.push(...part.filter((event) => hasState(event)));
  return { ...told, state: { events: state }, account_data: { events: [...rest.after().accountData] } };
}

/** Reads on; `far` if the room is better sent anew. @throws EmissaryError as PeekedRooms does */
export async function newsAfter(look: Look, from: string): Promise<News | "gone" | "lost" | "far"> {
  const { rooms, token, roomId, abort } = look;
  const pages: EventsPage[] = [];
  for (let next = from; ;) {
    const page = await rooms.events(token, roomId, { from: next, limit: PAGE }, abort);
    if (page === "gone" || page === "lost") return page;
    pages.push(page);
    next = page.end;
    // The events of a full page may all be other rooms', or hidden from this user.
    if (page.chunk.length < PAGE && (page.chunk.length > 0 || page.end === page.start || pages.length > 1)) break;
    if (pages.length === MAX_PAGES) return "far";
  }
  return told(look, pages);
}

interface Placed {
  readonly event: JsonObject;
  readonly page: EventsPage;
  /** Number of events before it on the page. */
  readonly before: number;
}

async function told(look: Look, pages: readonly EventsPage[]): Promise<News> {
  const { roomId, filter } = look;
  const events = pages.flatMap((page) => placed(page)).filter(({ event }) => event["room_id"] === roomId);
  const accountData = pages.flatMap(({ chunk }) => chunk.filter((entry) => isAccountData(entry, roomId)));
  const wanted = events.filter(({ event }) => filter.hasEvent(event));
  const first = wanted.length > filter.limit ? (wanted.at(-filter.limit) ?? null) : null;
  const skipped = first === null ? null : await placeBefore(look, first);
  // If the homeserver cannot say where the last few begin, more are sent, so none is left out in between.
  const from = skipped === null ? 0 : wanted.findIndex(({ event }) => event === skipped.first);
  const timeline = wanted.slice(from).map(({ event }) => event);
  const all = events.map(({ event }) => event);
  const state = newestOfEach(all.filter((event) => !timeline.includes(event)));
  const shownState = [...state.values()].filter((event) => filter.hasState(event));
  const end = pages.at(-1)?.end ?? "";
  const start = pages[0]?.start ?? end;
  const eventIds = new Set(all.map((event) => stringAt(event, "event_id") ?? ""));
  const found = { start, end, eventIds, links: linksOf(all) };
  if (timeline.length + shownState.length + accountData.length === 0) return { told: null, ...found };
  const room = roomOf(
    shownState.map((event) => forClients(event)),
    {
      events: timeline.map((event) => forClients(event)),
      limited: skipped !== null,
      prev_batch: skipped?.token ?? start,
    },
    accountData.map(({ type = null, content = null }) => ({ type, content })),
  );
  return { told: room, ...found };
}

/** Fields that only servers use. */
const OF_SERVERS = ["auth_events", "prev_events", "prev_state", "depth", "hashes", "signatures", "origin"] as const;

/** Returns the clients' format. Since room version 11 `redacts` is in the content; clients also look beside it. */
function forClients(event: JsonObject): JsonObject {
  if (event["prev_events"] === undefined) return event;
  const own = without(event, ...OF_SERVERS);
  if (event["type"] !== "m.room.redaction" || own["redacts"] !== undefined) return own;
  const redacts = stringAt(objectAt(event, "content"), "redacts");
  return redacts === null ? own : { ...own, redacts };
}

/** Returns the position right before an event, and the first wanted event after that position. */
async function placeBefore(
  { rooms, token, roomId, abort, filter }: Look,
  { event, page, before }: Placed,
): Promise<{ readonly token: string; readonly first: JsonObject }> {
  if (before > 0) {
    const skipped = await rooms.events(token, roomId, { from: page.start, limit: before }, abort);
    const last = skipped === "gone" || skipped === "lost" ? null : placed(skipped).at(-1);
    const expected = placed(page)[before - 1]?.event["event_id"];
    if (last?.event["event_id"] === expected && skipped !== "gone" && skipped !== "lost") {
      return { token: skipped.end, first: event };
    }
  }
  const first = placed(page).find((other) => other.event["room_id"] === roomId && filter.hasEvent(other.event));
  return { token: page.start, first: first?.event ?? event };
}

/** Returns the page's events, of all rooms. */
function placed(page: EventsPage): Placed[] {
  return page.chunk
    .filter((entry) => stringAt(entry, "event_id") !== null)
    .map((event, before) => ({ event, page, before }));
}

function isAccountData(entry: JsonObject, roomId: RoomId): boolean {
  const isOther = stringAt(entry, "event_id") !== null || entry["type"] === "m.receipt" || entry["type"] === "m.typing";
  return !isOther && entry["room_id"] === roomId;
}

/** Returns the newest state event of each type and state key. Its key is `type\nstate_key`. */
export function newestOfEach(events: readonly JsonObject[]): ReadonlyMap<string, JsonObject> {
  const newest = new Map<string, JsonObject>();
  for (const event of events) {
    const key = stringAt(event, "state_key");
    if (key !== null) newest.set(`${stringAt(event, "type") ?? ""}\n${key}`, event);
  }
  return newest;
}
