import { roomPath } from "../../http/client-paths.ts";
import { linksOf, type Link } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { objectsOf, stringAt } from "../../model/json.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { heldAnswer, type HeldReads } from "./held-answer.ts";

const PAGE_BYTES = 16 * 1024 * 1024;
/** Fetching missing events from other servers takes part of it, and continues after it. */
const TIMEOUT_MS = 5_000;

/** Newest first. */
export interface LinksPage {
  readonly links: readonly Link[];
  /** The position right before the last of them; null if there is nothing before. */
  readonly end: string | null;
}

/**
 * How a room's events are linked. Synapse returns events in federation format on request (`raw`). Asks as the
 * pseudouser, who sees all of them: this tells events that the homeserver lacks from those that it hides from a user.
 * Users get only positions from this. Methods throw EmissaryError if the homeserver gives no such answer now.
 */
export class HomeserverRoomLinks {
  readonly #reads: HeldReads;

  constructor(reads: HeldReads) {
    this.#reads = reads;
  }

  /**
   * Returns the events before a position, down to `to`; null if the homeserver does not say their links. Without
   * `to`, the homeserver fetches missing events if it can in time.
   */
  async before(
    roomId: RoomId,
    { from, to, limit }: { readonly from: string; readonly to?: string; readonly limit: number },
    abort: AbortSignal,
  ): Promise<LinksPage | null> {
    // The homeserver asks other servers only when it is read backwards.
    const span = to === undefined ? { dir: "b", from } : { dir: "f", from: to, to: from };
    const query = { ...span, raw: "true", limit: String(limit) };
    const read = { query, abort, timeout: TIMEOUT_MS, who: roomId, limit: PAGE_BYTES };
    const answer = await heldAnswer(this.#reads, roomPath(roomId, "messages"), read);
    if (answer.status !== 200) throw failureOf(answer, "list the links between a room's events");
    const links = linksOf(objectsOf(answer.body["chunk"]));
    if (links === null) return null;
    return to === undefined ? { links, end: stringAt(answer.body, "end") } : { links: links.toReversed(), end: to };
  }

  async has(roomId: RoomId, eventId: string, abort: AbortSignal): Promise<boolean> {
    const answer = await this.#reads.client.call("GET", roomPath(roomId, "event", eventId), { abort });
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "look up an event");
    return answer.status === 200;
  }
}

export type RoomLinks = Pick<HomeserverRoomLinks, "before" | "has">;
