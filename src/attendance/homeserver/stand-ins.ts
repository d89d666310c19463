import { memberPath } from "../../http/client-paths.ts";
import { ON_BEHALF_OF } from "../../model/attribution.ts";
import type { UserId } from "../../model/ids.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { moveAnswer, type MoveAnswer } from "./moves.ts";
import type { StandIn } from "../store/stand-ins.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";

type TenantUser = Pick<StandIn, "roomId" | "userId" | "tenant">;

/**
 * The moves of tenants' users: they come in to let the pseudouser in, and leave. Each may be repeated. They use our
 * own token: the user is in our registration's namespace, and its first move registers it. Its memberships carry the
 * tenant's mark, so that no tenant mistakes them for more.
 */
export class StandInMoves {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  join(user: TenantUser, abort: AbortSignal): Promise<MoveAnswer> {
    return this.#set(user, user.userId, { membership: "join" }, abort);
  }

  invite(user: TenantUser, abort: AbortSignal): Promise<MoveAnswer> {
    return this.#set(user, this.#client.own, { membership: "invite" }, abort);
  }

  /** Leaves, or declines the invite. */
  leave(user: TenantUser, reason: string, abort: AbortSignal): Promise<MoveAnswer> {
    return this.#set(user, user.userId, { membership: "leave", reason }, abort);
  }

  async #set(
    { roomId, userId, tenant }: TenantUser,
    target: UserId,
    content: Readonly<Record<string, string>>,
    abort: AbortSignal,
  ): Promise<MoveAnswer> {
    const body = { ...content, [ON_BEHALF_OF]: tenant };
    return moveAnswer(async () => {
      // If it already exists, that is fine; if it cannot be registered, the next call is refused.
      await this.#client.call("POST", REGISTER, { ...registrationOf(userId), abort });
      return this.#client.call("PUT", memberPath(roomId, target), { as: userId, body, abort });
    });
  }
}
