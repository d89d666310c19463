import type { LinksPage, RoomLinks } from "../msc2753/contracts.ts";
import type { BytesHeld } from "../../concurrency/bytes-held.ts";
import { linksOf } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt } from "../../model/json.ts";
import { answerOf, readWhole, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

const PAGE_BYTES = 16 * 1024 * 1024;
/** Fetching missing events from other servers takes part of it, and continues after it. */
const TIMEOUT_MS = 5_000;

/** Links of rooms' events from Synapse, which returns events in federation format on request (`raw`). */
export class HomeserverRoomLinks implements RoomLinks {
  readonly #client: HomeserverClient;
  readonly #held: BytesHeld;

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
    // The homeserver asks other servers only when it is read backwards.
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
