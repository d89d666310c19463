import type { Tombstones } from "./upgrades.ts";
import type { RoomId } from "../../model/ids.ts";
import { stringAt } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** Reads the tombstones of rooms that the pseudouser is in. */
export class HomeserverTombstones implements Tombstones {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async replacementOf(roomId: RoomId, abort: AbortSignal): Promise<string | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.tombstone/`;
    const answer = await this.#client.call("GET", path, { abort });
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw failureOf(answer, "tell a room's tombstone");
    return stringAt(answer.body, "replacement_room");
  }
}
