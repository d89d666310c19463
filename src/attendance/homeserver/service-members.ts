import type { ServiceMembers } from "../contracts.ts";
import type { RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** The room's list of members that are no people (MSC4171), read and written as the pseudouser. */
export class HomeserverServiceMembers implements ServiceMembers {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async read(roomId: RoomId, abort: AbortSignal): Promise<JsonObject> {
    const answer = await this.#client.call("GET", pathOf(roomId), { abort });
    if (answer.status === 404) return {};
    if (answer.status !== 200) throw failureOf(answer, "tell a room's functional members");
    return answer.body;
  }

  async write(roomId: RoomId, content: JsonObject, abort: AbortSignal): Promise<void> {
    const answer = await this.#client.call("PUT", pathOf(roomId), { abort, body: content });
    if (answer.status !== 200) throw failureOf(answer, "list the pseudouser among a room's functional members");
  }
}

function pathOf(roomId: RoomId): string {
  return `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/io.element.functional_members`;
}
