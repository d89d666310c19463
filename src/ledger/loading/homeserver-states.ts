import { roomPath } from "../../http/client-paths.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { isRoomEvent, isStateEvent, type StateEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import { shallow } from "../../model/json.ts";
import { sourced } from "../../model/json-text.ts";
import { EntryRewriter } from "../../homeserver/entries.ts";
import { answerOf, unreachable, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** Synapse computes the whole state of a large room before the first byte. */
const STATE_TIMEOUT_MS = 10 * 60_000;
/** State events passed on at once, and bytes of the answer read for them: an event may have up to 64 KiB. */
const PART = 150;
const PART_BYTES = 1024 * 1024;

/** Streams a room's current state (`GET …/state`): hundreds of megabytes for a hundred thousand members. */
export class HomeserverStates {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** @throws EmissaryError if the homeserver does not return it */
  async *stream(roomId: RoomId, abort: AbortSignal): AsyncIterable<readonly StateEvent[]> {
    const path = roomPath(roomId, "state");
    const response = await this.#client.open("GET", path, { abort, timeout: STATE_TIMEOUT_MS });
    if (response.statusCode !== 200) throw failureOf(await answerOf(response), "tell a room's state");

    let part: StateEvent[] = [];
    let read = 0;
    const seen = { create: false };
    const entries = new EntryRewriter({
      within: null,
      change: (entry) => {
        const event = eventIn(entry.toString("utf8"));
        if (event !== null) {
          seen.create ||= event.type === "m.room.create";
          part.push(event);
        }
        return null;
      },
      more: () => [],
      unreadable: null,
    });
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        entries.push(chunk);
        read += chunk.length;
        if (part.length >= PART || read >= PART_BYTES) {
          yield part;
          part = [];
          read = 0;
        }
      }
    } catch (error) {
      throw error instanceof EmissaryError ? error : unreachable(error);
    }
    if (entries.isFound && !entries.isOver) throw broken("ended in the middle");
    // Every room has one. An answer without it is no room's state, and would empty the ledger's.
    if (!seen.create) throw broken("has no m.room.create");
    if (part.length > 0) yield part;
  }
}

export type RoomStates = Pick<HomeserverStates, "stream">;

/**
 * Parses a state event with its text; null if it is none.
 * @throws EmissaryError `homeserver-error` if it is no JSON
 */
function eventIn(text: string): StateEvent | null {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (error) {
    throw broken(`is broken JSON: ${sentenceOf(error)}`);
  }
  return isRoomEvent(event) && isStateEvent(event) ? shallow(sourced(event, text)) : null;
}

function broken(how: string): EmissaryError {
  return new EmissaryError("homeserver-error", `The homeserver's answer to a room's state ${how}.`);
}
