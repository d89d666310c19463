import { memberPath, roomPath } from "../../http/client-paths.ts";
import { NO_SERVER } from "../attendance.ts";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import type { RoomId, ServerName } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { VerdictCode } from "../../model/verdict.ts";
import type { Answer, HomeserverClient } from "../../homeserver/client.ts";
import { isWorthRetrying } from "../../homeserver/errors.ts";

export type MoveAnswer = { readonly outcome: "done" } | MoveFailure;

export type MoveFailure =
  /** A refusal that another try will not change: `code` is the homeserver's errcode, `reason` its sentence. */
  | { readonly outcome: "refused"; readonly code: string; readonly reason: string }
  /** Worth another try, but not before `retryAfter` milliseconds if the homeserver gave them. */
  | { readonly outcome: "retry"; readonly code: string; readonly reason: string; readonly retryAfter: number | null };

export interface JoinWay {
  readonly via: readonly ServerName[];
  /** The reason in the membership event, which everybody in the room sees; null for none. */
  readonly reason: string | null;
}

/** The pseudouser's moves. The keeper is the only caller. */
export class PseudouserMoves {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** Sends `via` under its older name too: homeservers before v1.12 of the spec (MSC4156) only know `server_name`. */
  async join(roomId: RoomId, { via, reason }: JoinWay, abort: AbortSignal): Promise<MoveAnswer> {
    const path = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`;
    return this.#move(path, { via, server_name: via }, reason === null ? {} : { reason }, abort);
  }

  /** @param reason the reason in the membership event, which everybody in the room sees; none if omitted */
  async leave(roomId: RoomId, abort: AbortSignal, reason?: string): Promise<MoveAnswer> {
    const path = roomPath(roomId, "leave");
    return this.#move(path, {}, reason === undefined ? {} : { reason }, abort);
  }

  /** Returns the pseudouser's own membership event; null if it has none or the homeserver does not say. */
  async ownMembership(roomId: RoomId, abort: AbortSignal): Promise<RoomEvent | null> {
    try {
      const path = memberPath(roomId, this.#client.own);
      const answer = await this.#client.call("GET", path, { query: { format: "event" }, abort });
      const event: unknown = answer.body;
      return answer.status === 200 && isRoomEvent(event) ? event : null;
    } catch (error) {
      if (error instanceof EmissaryError) return null;
      throw error;
    }
  }

  /** No time limit: a join over federation may take minutes in a large room, and the keeper's own limit ends it. */
  #move(
    path: string,
    query: Readonly<Record<string, readonly string[]>>,
    body: JsonObject,
    abort: AbortSignal,
  ): Promise<MoveAnswer> {
    return moveAnswer(() => this.#client.call("POST", path, { query, body, abort, timeout: 0 }));
  }
}

/** Returns the result of a move. A call without an answer is worth another try. */
export async function moveAnswer(call: () => Promise<Answer>): Promise<MoveAnswer> {
  try {
    return answerOf(await call());
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    return { outcome: "retry", code: error.code, reason: error.message, retryAfter: null };
  }
}

/** Synapse's message when a room's m.room.server_acl excludes our server; the specification has no code for it. */
const SHUT_OUT = /^server is banned from room$/i;

function answerOf(answer: Answer): MoveAnswer {
  if (answer.status === 200) return { outcome: "done" };
  const code = answer.errcode ?? `HTTP_${answer.status}`;
  const reason = answer.error ?? `status ${answer.status}`;
  const { retryAfter } = answer;
  // An errcode shows that the homeserver answers, not a proxy in front of it. Synapse answers so if the room's servers
  // fail, or say that they do not have the room.
  if (answer.status === 502 && answer.errcode !== null)
    return { outcome: "retry", code: NO_SERVER, reason, retryAfter };
  // If the homeserver does not know the token, the operator must load the registration; the room is not at fault.
  if (isWorthRetrying(answer) || answer.status === 401) return { outcome: "retry", code, reason, retryAfter };
  if (answer.status === 403 && SHUT_OUT.test(reason)) {
    const sentence = "the room's own access list (m.room.server_acl) keeps our server out, say the servers in it";
    return { outcome: "refused", code: "server-acl" satisfies VerdictCode, reason: sentence };
  }
  return { outcome: "refused", code, reason };
}

/** Pauses before a refused join is repeated, in milliseconds. */
const PAUSES_MS = [300, 1_000, 3_000] as const;

/**
 * Joins by an invite. A server sends an invite before it stores it (spec, server-server API, "Inviting to a room"):
 * for a moment it does not know the invite, and refuses the join.
 */
export async function joinedByInvite<T extends MoveAnswer | null>(
  join: () => Promise<T>,
  clock: Clock,
  abort: AbortSignal,
): Promise<T> {
  let answer = await join();
  for (const pause of PAUSES_MS) {
    if (answer?.outcome !== "refused" || answer.code !== "M_FORBIDDEN" || abort.aborted) break;
    await clock.sleep(pause, abort);
    answer = await join();
  }
  return answer;
}
