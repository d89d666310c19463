import type { MoveAnswer, StandInMoves } from "../contracts.ts";
import { ON_BEHALF_OF } from "../../model/attribution.ts";
import { EmissaryError } from "../../model/errors.ts";
import { type RoomId, type TenantId, type UserId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { moveAnswerOf } from "./moves.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";

/**
 * The moves of a tenant's user at the homeserver. They use our own token: the user is in our registration's namespace,
 * and its first move registers it. Its memberships carry the tenant's mark, so that no tenant mistakes them for more.
 */
export class HomeserverStandIns implements StandInMoves {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async join(userId: UserId, roomId: RoomId, tenant: TenantId, abort: AbortSignal): Promise<MoveAnswer> {
    return this.#set(userId, roomId, userId, { membership: "join", [ON_BEHALF_OF]: tenant }, abort);
  }

  async invite(userId: UserId, roomId: RoomId, tenant: TenantId, abort: AbortSignal): Promise<MoveAnswer> {
    return this.#set(userId, roomId, this.#client.own, { membership: "invite", [ON_BEHALF_OF]: tenant }, abort);
  }

  async leave(
    userId: UserId,
    roomId: RoomId,
    tenant: TenantId,
    reason: string | null,
    abort: AbortSignal,
  ): Promise<MoveAnswer> {
    const content = { membership: "leave", ...(reason === null ? {} : { reason }), [ON_BEHALF_OF]: tenant };
    return this.#set(userId, roomId, userId, content, abort);
  }

  async #set(as: UserId, roomId: RoomId, target: UserId, content: JsonObject, abort: AbortSignal): Promise<MoveAnswer> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(target)}`;
    try {
      await this.#register(as, abort);
      return moveAnswerOf(await this.#client.call("PUT", path, { as, body: content, abort }));
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      return { outcome: "retry", code: error.code, reason: error.message, retryAfter: null };
    }
  }

  /** Registers the user. If it already exists, that is fine; if it cannot be registered, the next call is refused. */
  async #register(userId: UserId, abort: AbortSignal): Promise<void> {
    await this.#client.call("POST", REGISTER, { ...registrationOf(userId), abort });
  }
}
