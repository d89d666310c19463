import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { objectsOf, stringAt } from "../../model/json.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";
import { CLIENT, heldAnswer, type HeldReads } from "./held-answer.ts";
import type { EventsPage, PagePosition } from "./peeked-rooms.ts";

const EVENTS_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** How long a reader that failed or was shown nothing is not registered again, in milliseconds. */
const AGAIN_MS = 60_000;

export interface ReaderParts extends HeldReads {
  readonly reader: UserId;
  /** Whether our registration lets us act as the reader. */
  readonly isClaimed: boolean;
  /** Whether to ask for events in federation format (peeked-rooms.ts), not the clients' format. */
  readonly isRaw: boolean;
  readonly clock: Clock;
}

/** New events of a room, as the homeserver shows them to a user without a membership. */
export interface StrangersPage extends EventsPage {
  /** Size of the homeserver's answer. */
  readonly bytes: number;
}

/** Rooms as shown to the reader: a local user in no room. Registers it at the first read. */
export class ReaderRooms {
  readonly #parts: ReaderParts;
  #made: Promise<boolean> | null = null;
  #madeAt = 0;
  #isDoubted = false;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /**
   * Returns the events after a position; null if the reader is shown nothing, which may concern it alone.
   * @param wait how long the homeserver may wait for events, in milliseconds
   * @throws EmissaryError if it does not answer properly now
   */
  async events(
    roomId: RoomId,
    { from, limit }: PagePosition,
    wait: number,
    abort: AbortSignal,
  ): Promise<StrangersPage | null> {
    if (!(await this.#isThere())) return null;
    const { reader, isRaw } = this.#parts;
    const given = { room_id: roomId, from, limit: String(limit), timeout: String(wait) };
    const query = isRaw ? { ...given, raw: "true" } : given;
    const read = { as: reader, query, abort, timeout: wait + TIMEOUT_MS, who: reader, limit: EVENTS_BYTES };
    const answer = await heldAnswer(this.#parts, `${CLIENT}/events`, read);
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "show new events of a room");
    if (answer.status !== 200) this.#isDoubted = true;
    const { chunk } = answer.body;
    const end = stringAt(answer.body, "end");
    if (answer.status !== 200 || end === null || !Array.isArray(chunk)) return null;
    return { chunk: objectsOf(chunk), start: from, end, bytes: answer.bytes };
  }

  /** Whether the reader is believed to exist. Registers it again now and then if it was shown nothing. */
  #isThere(): Promise<boolean> {
    const { isClaimed, clock } = this.#parts;
    if (!isClaimed) return Promise.resolve(false);
    const now = clock.now();
    if (this.#made === null || (this.#isDoubted && now - this.#madeAt >= AGAIN_MS)) {
      this.#madeAt = now;
      this.#isDoubted = false;
      this.#made = this.#register();
    }
    return this.#made;
  }

  async #register(): Promise<boolean> {
    const { client, reader } = this.#parts;
    try {
      const answer = await client.call("POST", REGISTER, registrationOf(reader));
      this.#isDoubted = answer.status !== 200 && answer.errcode !== "M_USER_IN_USE";
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      this.#isDoubted = true;
    }
    return !this.#isDoubted;
  }
}
