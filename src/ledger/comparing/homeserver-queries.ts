import { isEventId, isRoomId, type EventId, type RoomId } from "../../model/ids.ts";
import { previousOf } from "../../model/event-links.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import { isJsonObject, parsedObject, shallow, stringAt, without, type JsonValue } from "../../model/json.ts";
import type { HomeserverQueries, TimelinePage } from "./contracts.ts";
import type { Link, LinkPage } from "./holes.ts";
import { readWhole, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** Reading back into missing history makes the homeserver ask other servers for it. */
const TIMELINE_TIMEOUT_MS = 60_000;

/** A hundred events of the largest size. */
const LINKS_BYTES = 16 * 1024 * 1024;

function linkOf(event: JsonValue): readonly Link[] {
  const id = isJsonObject(event) ? stringAt(event, "event_id") : null;
  if (!isJsonObject(event) || id === null || !isEventId(id)) return [];
  return [{ id, previous: previousOf(event)?.filter((one) => isEventId(one)) ?? null }];
}

/** Returns the event as a transaction would bring it: only its sender is told which request made it. */
function delivered(event: RoomEvent): RoomEvent {
  if (event.unsigned?.["transaction_id"] === undefined) return event;
  return { ...event, unsigned: without(event.unsigned, "transaction_id") };
}

/** Queries to the homeserver, to compare its answers with what it sent. */
export class HomeserverAnswers implements HomeserverQueries {
  readonly #client: HomeserverClient;
  readonly #registrationId: string;

  constructor(client: HomeserverClient, registrationId: string) {
    this.#client = client;
    this.#registrationId = registrationId;
  }

  async joinedRooms(abort: AbortSignal): Promise<readonly RoomId[]> {
    const answer = await this.#client.call("GET", "/_matrix/client/v3/joined_rooms", { abort });
    const rooms = answer.body["joined_rooms"];
    if (answer.status !== 200 || !Array.isArray(rooms)) throw failureOf(answer, "list the pseudouser's rooms");
    return rooms.filter((room) => typeof room === "string").filter((room) => isRoomId(room));
  }

  async newestEvent(roomId: RoomId, abort: AbortSignal): Promise<EventId | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`;
    const answer = await this.#client.call("GET", path, { abort, query: { dir: "b", limit: "1" } });
    const chunk = answer.status === 200 ? answer.body["chunk"] : [];
    const event = Array.isArray(chunk) ? chunk[0] : undefined;
    const id = isJsonObject(event) ? stringAt(event, "event_id") : null;
    return id !== null && isEventId(id) ? id : null;
  }

  async timeline(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<TimelinePage | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`;
    const query = { dir: "b", limit: String(limit), ...(from === null ? {} : { from }) };
    const answer = await this.#client.call("GET", path, { abort, query, timeout: TIMELINE_TIMEOUT_MS });
    const chunk: unknown = answer.body["chunk"];
    if (answer.status !== 200 || !Array.isArray(chunk)) return null;
    const events = (chunk as unknown[]).filter((event) => isRoomEvent(event)).map((event) => shallow(delivered(event)));
    return { events, end: stringAt(answer.body, "end") };
  }

  async links(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<LinkPage | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`;
    // Events in the federation format (spec, "Filtering") name their predecessors.
    const filter = JSON.stringify({ event_format: "federation" });
    const query = { dir: "b", limit: String(limit), filter, ...(from === null ? {} : { from }) };
    const response = await this.#client.open("GET", path, { abort, query, timeout: TIMELINE_TIMEOUT_MS });
    const body = parsedObject(await readWhole(response, LINKS_BYTES));
    const chunk = body["chunk"];
    if (response.statusCode !== 200 || !Array.isArray(chunk)) return null;
    return { links: chunk.flatMap((event) => linkOf(event)), end: stringAt(body, "end") };
  }

  async ping(abort: AbortSignal): Promise<string | null> {
    const path = `/_matrix/client/v1/appservice/${encodeURIComponent(this.#registrationId)}/ping`;
    const answer = await this.#client.call("POST", path, { abort, asPseudouser: false, body: {} });
    return answer.status === 200
      ? null
      : `${answer.errcode ?? `status ${answer.status}`}: ${answer.error ?? "no reason given"}`;
  }
}
