import type { EventsPage, PagePosition, PeekedRooms, RoomBeginning } from "../msc2753/contracts.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isJsonObject, type JsonObject, objectsOf, parsedObject, stringAt } from "../../model/json.ts";
import type { BytesHeld } from "../../concurrency/bytes-held.ts";
import { answerOf, AnswerTooLarge, readWhole, type Answer, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { OpenRoom } from "./open-room.ts";

/** Bounds of a room's whole state with all members, and of a hundred events, which are held whole. */
const BEGINNING_BYTES = 64 * 1024 * 1024;
const EVENTS_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

const CLIENT = "/_matrix/client/v3";

/** Rooms as the homeserver shows them over its older API for peeking. */
export class HomeserverPeekedRooms implements PeekedRooms {
  readonly #client: HomeserverClient;
  readonly #held: BytesHeld;

  constructor(client: HomeserverClient, held: BytesHeld) {
    this.#client = client;
    this.#held = held;
  }

  async beginning(token: string, roomId: RoomId, limit: number, abort: AbortSignal): Promise<RoomBeginning | "gone"> {
    const path = `${CLIENT}/rooms/${encodeURIComponent(roomId)}/initialSync`;
    const query = { limit: String(limit) };
    const response = await this.#client.open("GET", path, {
      token,
      asPseudouser: false,
      query,
      abort,
      timeout: TIMEOUT_MS,
    });
    if (response.statusCode !== 200) {
      const failure = await answerOf(response);
      if (isRefusal(failure)) return "gone";
      throw failureOf(failure, "show a room that is peeked into");
    }
    const room = new OpenRoom(response, BEGINNING_BYTES, this.#held.open(token, abort, null));
    abort.addEventListener("abort", () => room.drop(), { once: true });
    if (abort.aborted) room.drop();
    try {
      return beginningOf(room, await room.begin());
    } catch (error) {
      room.drop();
      throw error instanceof AnswerTooLarge ? stateTooLarge(error) : error;
    }
  }

  async events(
    token: string,
    roomId: RoomId,
    { from, limit }: PagePosition,
    abort: AbortSignal,
  ): Promise<EventsPage | "gone" | "lost"> {
    // Synapse's extension: events in federation format, in which gaps between them show.
    const query = { room_id: roomId, from, limit: String(limit), timeout: "0", raw: "true" };
    const answer = await this.#ask(token, `${CLIENT}/events`, query, { bytes: EVENTS_BYTES, abort });
    if (!("chunk" in answer)) {
      if (isRefusal(answer.failure)) return "gone";
      if (answer.failure.status === 400) return "lost";
      throw failureOf(answer.failure, "show what came in a room that is peeked into");
    }
    const end = stringAt(answer.chunk, "end");
    if (end === null) throw unreadable("events");
    return { chunk: objectsOf(answer.chunk["chunk"]), start: stringAt(answer.chunk, "start") ?? from, end };
  }

  async membership(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<string | null> {
    const path = memberPath(roomId, userId);
    const answer = await this.#client.call("GET", path, { token, asPseudouser: false, abort });
    return answer.status === 200 ? stringAt(answer.body, "membership") : null;
  }

  async member(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<JsonObject | null> {
    const options = { token, asPseudouser: false, query: { format: "event" }, abort };
    const { status, body } = await this.#client.call("GET", memberPath(roomId, userId), options);
    return status === 200 ? body : null;
  }

  async filter(token: string, userId: UserId, filterId: string): Promise<JsonObject | null> {
    const path = `${CLIENT}/user/${encodeURIComponent(userId)}/filter/${encodeURIComponent(filterId)}`;
    const answer = await this.#client.call("GET", path, { token, asPseudouser: false });
    if (answer.status === 200) return answer.body;
    if (answer.status < 500 && answer.status !== 429) return null;
    throw failureOf(answer, "tell a filter");
  }

  async #ask(
    token: string,
    path: string,
    query: Readonly<Record<string, string>>,
    { bytes, abort }: { readonly bytes: number; readonly abort: AbortSignal },
  ): Promise<{ readonly chunk: JsonObject } | { readonly failure: Answer }> {
    const options = { token, asPseudouser: false, query, abort, timeout: TIMEOUT_MS };
    const response = await this.#client.open("GET", path, options);
    if (response.statusCode !== 200) return { failure: await answerOf(response) };
    // Held until the device has its answer, which is made of it and about as large.
    const hold = this.#held.open(token, abort, null);
    try {
      const whole = await readWhole(response, bytes, hold);
      return { chunk: parsedObject(whole) };
    } catch (error) {
      hold.free();
      throw error;
    }
  }
}

function beginningOf(room: OpenRoom, { told, state }: Awaited<ReturnType<OpenRoom["begin"]>>): RoomBeginning {
  const { messages = null } = told;
  const end = isJsonObject(messages) ? stringAt(messages, "end") : null;
  if (!isJsonObject(messages) || end === null) throw unreadable("initialSync");
  return {
    membership: stringAt(told, "membership"),
    state: state ?? [],
    events: objectsOf(messages["chunk"]),
    start: stringAt(messages, "start"),
    end,
    accountData: objectsOf(told["account_data"]),
    rest: state === null ? room : null,
  };
}

function memberPath(roomId: RoomId, userId: UserId): string {
  return `${CLIENT}/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(userId)}`;
}

function isRefusal({ status }: Answer): boolean {
  return status === 403 || status === 404;
}

function stateTooLarge(cause: unknown): EmissaryError {
  return new EmissaryError(
    "refused-by-policy",
    `The room's state and newest events are more than the ${BEGINNING_BYTES} bytes that a device is told at first.`,
    { reason: "state-cap", cause },
  );
}

function unreadable(what: string): EmissaryError {
  return new EmissaryError("homeserver-error", `The homeserver's answer to ${what} says no position to go on from.`);
}
