import { roomPath } from "../../http/client-paths.ts";
import { isEventId, isRoomId, type EventId, type RoomId } from "../../model/ids.ts";
import { previousOf } from "../../model/event-links.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import { objectsOf, parsedObject, shallow, stringAt, without, type JsonObject } from "../../model/json.ts";
import { readWhole, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** Reading back into missing history makes the homeserver ask other servers for it. */
const TIMELINE_TIMEOUT_MS = 60_000;

/** A hundred events of the largest size. */
const LINKS_BYTES = 16 * 1024 * 1024;

export interface TimelinePage {
  readonly events: readonly RoomEvent[];
  /** Where the next page begins; null at the room's beginning. */
  readonly end: string | null;
}

/** An event with the events right before it, if the homeserver names them. */
export interface Link {
  readonly id: EventId;
  readonly previous: readonly EventId[] | null;
}

export interface LinkPage {
  readonly links: readonly Link[];
  readonly end: string | null;
}

function linkOf(event: JsonObject): readonly Link[] {
  const id = stringAt(event, "event_id");
  if (id === null || !isEventId(id)) return [];
  return [{ id, previous: previousOf(event)?.filter((one) => isEventId(one)) ?? null }];
}

/** Returns the event as a transaction would bring it: only its sender is told which request made it. */
function delivered(event: RoomEvent): RoomEvent {
  if (event.unsigned?.["transaction_id"] === undefined) return event;
  return { ...event, unsigned: without(event.unsigned, "transaction_id") };
}

/** Returns the options for a page of a timeline, read backwards. */
function pageOf(from: string | null, limit: number, abort: AbortSignal, filter: { readonly filter?: string } = {}) {
  const query = { dir: "b", limit: String(limit), ...filter, ...(from === null ? {} : { from }) };
  return { abort, query, timeout: TIMELINE_TIMEOUT_MS };
}

/** Queries to the homeserver, to compare its answers with what it sent. All throw EmissaryError if it cannot be asked. */
export class HomeserverAnswers {
  readonly #client: HomeserverClient;
  readonly #registrationId: string;

  constructor(client: HomeserverClient, registrationId: string) {
    this.#client = client;
    this.#registrationId = registrationId;
  }

  /** Returns the rooms that the pseudouser is in. */
  async joinedRooms(abort: AbortSignal): Promise<readonly RoomId[]> {
    const answer = await this.#client.call("GET", "/_matrix/client/v3/joined_rooms", { abort });
    const rooms = answer.body["joined_rooms"];
    if (answer.status !== 200 || !Array.isArray(rooms)) throw failureOf(answer, "list the pseudouser's rooms");
    return rooms.filter((room) => typeof room === "string").filter((room) => isRoomId(room));
  }

  /** Returns the newest event of a room; null if the homeserver does not say. */
  async newestEvent(roomId: RoomId, abort: AbortSignal): Promise<EventId | null> {
    const query = { dir: "b", limit: "1" };
    const { status, body } = await this.#client.call("GET", roomPath(roomId, "messages"), { abort, query });
    const id = status === 200 ? stringAt(objectsOf(body["chunk"])[0] ?? {}, "event_id") : null;
    return id !== null && isEventId(id) ? id : null;
  }

  /**
   * Returns a page of a room's timeline, the newest event first, from the end or from where an earlier page ended;
   * null if the homeserver does not show it.
   */
  async timeline(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<TimelinePage | null> {
    const { status, body } = await this.#client.call("GET", roomPath(roomId, "messages"), pageOf(from, limit, abort));
    const chunk: unknown = body["chunk"];
    if (status !== 200 || !Array.isArray(chunk)) return null;
    const events = (chunk as unknown[]).filter((event) => isRoomEvent(event)).map((event) => shallow(delivered(event)));
    return { events, end: stringAt(body, "end") };
  }

  /** Like `timeline`, but returns predecessors. Reading back makes the homeserver fetch missing events. */
  async links(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<LinkPage | null> {
    // Events in the federation format (spec, "Filtering") name their predecessors.
    const filter = JSON.stringify({ event_format: "federation" });
    const response = await this.#client.open(
      "GET",
      roomPath(roomId, "messages"),
      pageOf(from, limit, abort, { filter }),
    );
    const body = parsedObject(await readWhole(response, LINKS_BYTES));
    if (response.statusCode !== 200 || !Array.isArray(body["chunk"])) return null;
    return { links: objectsOf(body["chunk"]).flatMap(linkOf), end: stringAt(body, "end") };
  }

  /** Makes the homeserver call us, and so send queued transactions at once. Returns its error, if any. */
  async ping(abort: AbortSignal): Promise<string | null> {
    const path = `/_matrix/client/v1/appservice/${encodeURIComponent(this.#registrationId)}/ping`;
    const answer = await this.#client.call("POST", path, { abort, asPseudouser: false, body: {} });
    return answer.status === 200
      ? null
      : `${answer.errcode ?? `status ${answer.status}`}: ${answer.error ?? "no reason given"}`;
  }
}
