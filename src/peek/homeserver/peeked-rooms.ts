import { memberPath, roomPath } from "../../http/client-paths.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isJsonObject, type JsonObject, objectsOf, stringAt } from "../../model/json.ts";
import { answerOf, AnswerTooLarge, type Answer, type CallOptions } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { CLIENT, heldAnswer, type HeldReads } from "./held-answer.ts";
import { OpenRoom, type RoomRest } from "./open-room.ts";

/** Bounds of a room's whole state with all members, and of a hundred events, which are held whole. */
const BEGINNING_BYTES = 64 * 1024 * 1024;
const EVENTS_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

/** A room as the homeserver first shows it to a user. */
export interface RoomBeginning {
  readonly membership: string | null;
  /** Empty if it is in `rest`. */
  readonly state: readonly JsonObject[];
  /** Oldest first. */
  readonly events: readonly JsonObject[];
  /** Where the events begin, for reading backwards; null if the homeserver does not say. */
  readonly start: string | null;
  readonly end: string;
  readonly accountData: readonly JsonObject[];
  /** Null if `state` is whole. Read once or dropped; ends with the request. */
  readonly rest: RoomRest | null;
}

/** Events after a position, oldest first, with account data, perhaps of several rooms. Raw ones have `prev_events`. */
export interface EventsPage {
  readonly chunk: readonly JsonObject[];
  readonly start: string;
  readonly end: string;
}

export interface PagePosition {
  readonly from: string;
  readonly limit: number;
}

/**
 * Rooms as the homeserver shows them to a user over its older API for peeking. It is asked with the user's token, so
 * its access rules hold. Methods throw EmissaryError if it gives no such answer now.
 */
export class PeekedRooms {
  readonly #reads: HeldReads;

  constructor(reads: HeldReads) {
    this.#reads = reads;
  }

  /** `gone` if the user may not look in. @throws EmissaryError `refused-by-policy` if the state is too large */
  async beginning(token: string, roomId: RoomId, limit: number, abort: AbortSignal): Promise<RoomBeginning | "gone"> {
    const { client, held } = this.#reads;
    const query = { limit: String(limit) };
    const options = { token, asPseudouser: false, query, abort, timeout: TIMEOUT_MS };
    const response = await client.open("GET", roomPath(roomId, "initialSync"), options);
    if (response.statusCode !== 200) {
      const failure = await answerOf(response);
      if (isRefusal(failure)) return "gone";
      throw failureOf(failure, "show a peeked room");
    }
    const room = new OpenRoom(response, BEGINNING_BYTES, held.open(token, abort, null));
    abort.addEventListener("abort", () => room.drop(), { once: true });
    if (abort.aborted) room.drop();
    try {
      return beginningOf(room, await room.begin());
    } catch (error) {
      room.drop();
      throw error instanceof AnswerTooLarge ? stateTooLarge(error) : error;
    }
  }

  /** Returns `lost` if the homeserver does not know the position. */
  async events(
    token: string,
    roomId: RoomId,
    { from, limit }: PagePosition,
    abort: AbortSignal,
  ): Promise<EventsPage | "gone" | "lost"> {
    // Synapse's extension: events in federation format, in which gaps between them show.
    const query = { room_id: roomId, from, limit: String(limit), timeout: "0", raw: "true" };
    const asked = { token, asPseudouser: false, query, abort, timeout: TIMEOUT_MS };
    // Held until the device has its answer, which is made of it and about as large.
    const read = { ...asked, who: token, limit: EVENTS_BYTES, isKept: true };
    const answer = await heldAnswer(this.#reads, `${CLIENT}/events`, read);
    if (isRefusal(answer)) return "gone";
    if (answer.status === 400) return "lost";
    if (answer.status !== 200) throw failureOf(answer, "show new events of a peeked room");
    const end = stringAt(answer.body, "end");
    if (end === null) throw unreadable("events");
    return { chunk: objectsOf(answer.body["chunk"]), start: stringAt(answer.body, "start") ?? from, end };
  }

  /** Null if the user can see none. */
  async membership(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<string | null> {
    const content = await this.#ask(token, memberPath(roomId, userId), { abort });
    return content === null ? null : stringAt(content, "membership");
  }

  /** Returns the membership's event; null if the user can see none. */
  member(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<JsonObject | null> {
    return this.#ask(token, memberPath(roomId, userId), { query: { format: "event" }, abort });
  }

  /** Returns a stored filter of the user; null if the ID is unknown. */
  async filter(token: string, userId: UserId, filterId: string): Promise<JsonObject | null> {
    const path = `${CLIENT}/user/${encodeURIComponent(userId)}/filter/${encodeURIComponent(filterId)}`;
    const answer = await this.#reads.client.call("GET", path, { token, asPseudouser: false });
    if (answer.status === 200) return answer.body;
    if (answer.status < 500 && answer.status !== 429) return null;
    throw failureOf(answer, "return a filter");
  }

  async #ask(token: string, path: string, options: CallOptions): Promise<JsonObject | null> {
    const { status, body } = await this.#reads.client.call("GET", path, { token, asPseudouser: false, ...options });
    return status === 200 ? body : null;
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

function isRefusal({ status }: Answer): boolean {
  return status === 403 || status === 404;
}

function stateTooLarge(cause: unknown): EmissaryError {
  return new EmissaryError(
    "refused-by-policy",
    `The room's state and newest events exceed the limit of ${BEGINNING_BYTES} bytes for a first answer.`,
    { reason: "state-cap", cause },
  );
}

function unreadable(what: string): EmissaryError {
  return new EmissaryError("homeserver-error", `The homeserver's answer to ${what} has no position to continue from.`);
}
