import type { LinksPage, RoomLinks } from "../msc2753/contracts.ts";
import type { BytesHeld } from "../../concurrency/bytes-held.ts";
import { linksOf } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt } from "../../model/json.ts";
import { answerOf, readWhole, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

const PAGE_BYTES = 16 * 1024 * 1024;
/** Fetching what is missing from other servers takes part of it, and goes on after it. */
const TIMEOUT_MS = 5_000;

/** Rooms' graphs from Synapse, which gives events as servers have them to whoever asks for them `raw`. */
export class HomeserverRoomLinks implements RoomLinks {
  readonly #client: HomeserverClient;
  readonly #held: BytesHeld;

  /** @param held what answers that are held whole take together */
  constructor(client: HomeserverClient, held: BytesHeld) {
    this.#client = client;
    this.#held = held;
  }

  async before(
    roomId: RoomId,
    { from, to, limit }: { readonly from: string; readonly to?: string; readonly limit: number },
    abort: AbortSignal,
  ): Promise<LinksPage | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`;
    // Only who reads backwards has the homeserver ask other servers.
    const span = to === undefined ? { dir: "b", from } : { dir: "f", from: to, to: from };
    const query = { ...span, raw: "true", limit: String(limit) };
    const response = await this.#client.open("GET", path, { query, abort, timeout: TIMEOUT_MS });
    if (response.statusCode !== 200) throw failureOf(await answerOf(response), "say how a room's events hang together");
    const hold = this.#held.open(roomId, abort, null);
    try {
      const body = parsedObject(await readWhole(response, PAGE_BYTES, hold));
      const chunk = Array.isArray(body["chunk"]) ? body["chunk"].filter((event) => isJsonObject(event)) : [];
      const links = linksOf(chunk);
      if (links === null) return null;
      return to === undefined ? { links, end: stringAt(body, "end") } : { links: [...links].reverse(), end: to };
    } finally {
      hold.free();
    }
  }

  async has(roomId: RoomId, eventId: string, abort: AbortSignal): Promise<boolean> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`;
    const answer = await this.#client.call("GET", path, { abort });
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "say whether it has an event");
    return answer.status === 200;
  }
}
