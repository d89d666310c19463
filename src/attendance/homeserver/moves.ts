import type { JoinWay, MoveAnswer, PseudouserMoves } from "../contracts.ts";
import { NO_SERVER } from "../attendance.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { VerdictCode } from "../../model/verdict.ts";
import type { Answer, HomeserverClient } from "../../homeserver/client.ts";
import { isWorthRetrying } from "../../homeserver/errors.ts";

/** No limit here: a join over federation may take minutes in a large room, and the keeper's own limit ends it. */
const MOVE_TIMEOUT_MS = 0;

export class HomeserverMoves implements PseudouserMoves {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** Sends `via` under its older name too: homeservers before v1.12 of the spec (MSC4156) only know `server_name`. */
  async join(roomId: RoomId, { via, reason }: JoinWay, abort: AbortSignal): Promise<MoveAnswer> {
    const path = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`;
    return this.#move(path, { via, server_name: via }, reason === null ? {} : { reason }, abort);
  }

  async leave(roomId: RoomId, abort: AbortSignal, reason?: string): Promise<MoveAnswer> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/leave`;
    return this.#move(path, {}, reason === undefined ? {} : { reason }, abort);
  }

  async ownMembership(roomId: RoomId, abort: AbortSignal): Promise<RoomEvent | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(this.#client.own)}`;
    try {
      const answer = await this.#client.call("GET", path, { query: { format: "event" }, abort });
      const event: unknown = answer.body;
      return answer.status === 200 && isRoomEvent(event) ? event : null;
    } catch (error) {
      if (error instanceof EmissaryError) return null;
      throw error;
    }
  }

  async #move(
    path: string,
    query: Readonly<Record<string, readonly string[]>>,
    body: JsonObject,
    abort: AbortSignal,
  ): Promise<MoveAnswer> {
    try {
      const answer = await this.#client.call("POST", path, { query, body, abort, timeout: MOVE_TIMEOUT_MS });
      return moveAnswerOf(answer);
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      return { outcome: "retry", code: error.code, reason: error.message, retryAfter: null };
    }
  }
}

/** Synapse's message when a room's m.room.server_acl excludes our server; the specification has no code for it. */
const SHUT_OUT = /^server is banned from room$/i;

/** Returns the result of a move from the homeserver's answer. */
export function moveAnswerOf(answer: Answer): MoveAnswer {
  if (answer.status === 200) return { outcome: "done" };
  const code = answer.errcode ?? `HTTP_${answer.status}`;
  const reason = answer.error ?? `status ${answer.status}`;
  // An errcode shows that the homeserver answers, not a proxy in front of it. Synapse answers so if the room's servers
  // fail, or say that they do not have the room.
  if (answer.status === 502 && answer.errcode !== null) {
    return { outcome: "retry", code: NO_SERVER, reason, retryAfter: answer.retryAfter };
  }
  // If the homeserver does not know the token, the operator must load the registration; giving up the room would not
  // help.
  if (isWorthRetrying(answer) || answer.status === 401) {
    return { outcome: "retry", code, reason, retryAfter: answer.retryAfter };
  }
  if (answer.status === 403 && SHUT_OUT.test(reason)) {
    const sentence = "the room's own access list (m.room.server_acl) keeps our server out, say the servers in it";
    return { outcome: "refused", code: "server-acl" satisfies VerdictCode, reason: sentence };
  }
  return { outcome: "refused", code, reason };
}
