import type { History, Identity, TokenOwners } from "../contracts.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isUserId, type RoomId, type UserId } from "../../model/ids.ts";
import { stringAt } from "../../model/json.ts";
import type { Answer, HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** Events of history to ask for: somewhat more than a screenful. */
const HISTORY_EVENTS = 50;
/**
 * How long the homeserver may backfill, in milliseconds. It asks other servers, and takes about ten seconds for a room
 * of a thousand members.
 */
const HISTORY_TIMEOUT_MS = 60_000;

export class HomeserverTokenOwners implements TokenOwners {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async ownerOf(token: string, as?: string): Promise<Identity | null> {
    const answer = await this.#ask("/_matrix/client/v3/account/whoami", token, as);
    const userId = stringAt(answer.body, "user_id");
    if (answer.status === 200 && userId !== null && isUserId(userId)) {
      const identity = { userId, deviceId: stringAt(answer.body, "device_id") };
      return answer.body["is_guest"] === true ? { ...identity, isGuest: true } : identity;
    }
    if (answer.status === 401 || answer.status === 403) return null;
    throw failureOf(answer, "tell whose a token is");
  }

  /** Every room has an `m.room.create`. A user who is not shown it does not see the room. */
  async sees(token: string, roomId: RoomId): Promise<boolean> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.create/`;
    const answer = await this.#client.call("GET", path, { asPseudouser: false, token });
    return answer.status === 200;
  }

  async isMember(token: string, room: string, userId: UserId, as?: string): Promise<boolean> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/state/m.room.member/${encodeURIComponent(userId)}`;
    const answer = await this.#ask(path, token, as);
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "tell who is in a room");
    return answer.status === 200 && stringAt(answer.body, "membership") === "join";
  }

  /** Asked without a route, a homeserver tells only of rooms that it is in (spec, "GET room summary"). */
  async has(token: string, roomId: RoomId): Promise<boolean> {
    const path = `/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}`;
    const answer = await this.#client.call("GET", path, { asPseudouser: false, token });
    return answer.status === 200;
  }

  #ask(path: string, token: string, as: string | undefined): Promise<Answer> {
    const query = as === undefined ? {} : { query: { user_id: as } };
    return this.#client.call("GET", path, { asPseudouser: false, token, ...query });
  }
}

/** Fetches history by reading back: Synapse fetches more when a member reaches the end of its own. */
export class HomeserverHistory implements History {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async fetch(roomId: RoomId): Promise<boolean> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`;
    const query = { dir: "b", limit: String(HISTORY_EVENTS) };
    try {
      return (await this.#client.call("GET", path, { query, timeout: HISTORY_TIMEOUT_MS })).status === 200;
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      return false;
    }
  }
}
