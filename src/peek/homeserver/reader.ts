import type { Askers, ReaderRooms, StrangersPage } from "../shared/contracts.ts";
import type { PagePosition } from "../msc2753/contracts.ts";
import type { BytesHeld } from "../../concurrency/bytes-held.ts";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import { type RoomId, type UserId } from "../../model/ids.ts";
import { isJsonObject, objectAt, parsedObject, stringAt } from "../../model/json.ts";
import { answerOf, readWhole, type HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";

const EVENTS_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** How long a reader that failed or was shown nothing is not registered again, in milliseconds. */
const AGAIN_MS = 60_000;

const CLIENT = "/_matrix/client/v3";

export interface ReaderParts {
  readonly client: HomeserverClient;
  readonly held: BytesHeld;
  readonly reader: UserId;
  /** Whether our registration lets us act as the reader. */
  readonly isClaimed: boolean;
  /** Whether to ask for events in federation format (peeked-rooms.ts), not the clients' format. */
  readonly isRaw: boolean;
  readonly clock: Clock;
}

/** Rooms as the homeserver shows them to the reader. Registers the reader at the first read. */
export class HomeserverReader implements ReaderRooms {
  readonly reader: UserId;
  readonly #parts: ReaderParts;
  #made: Promise<boolean> | null = null;
  #madeAt = 0;
  #isDoubted = false;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.reader = parts.reader;
  }

  async events(
    roomId: RoomId,
    { from, limit }: PagePosition,
    wait: number,
    abort: AbortSignal,
  ): Promise<StrangersPage | null> {
    if (!(await this.#isThere())) return null;
    const { client, held, reader, isRaw } = this.#parts;
    const given = { room_id: roomId, from, limit: String(limit), timeout: String(wait) };
    const query = isRaw ? { ...given, raw: "true" } : given;
    const options = { as: reader, query, abort, timeout: wait + TIMEOUT_MS };
    const response = await client.open("GET", `${CLIENT}/events`, options);
    if (response.statusCode !== 200) {
      const answer = await answerOf(response);
      if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "show what came in a room");
      this.#isDoubted = true;
      return null;
    }
    const hold = held.open(reader, abort, null);
    try {
      const whole = await readWhole(response, EVENTS_BYTES, hold);
      const { chunk = null, ...rest } = parsedObject(whole);
      const end = stringAt(rest, "end");
      if (end === null || !Array.isArray(chunk)) return null;
      return {
        chunk: chunk.filter((entry) => isJsonObject(entry)),
        start: from,
        end,
        bytes: whole.length,
      };
    } finally {
      hold.free();
    }
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
      const isThere = answer.status === 200 || answer.errcode === "M_USER_IN_USE";
      this.#isDoubted = !isThere;
      return isThere;
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      this.#isDoubted = true;
      return false;
    }
  }
}

export class HomeserverAskers implements Askers {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async ignoredBy(token: string, userId: UserId, abort: AbortSignal): Promise<ReadonlySet<string> | null> {
    const path = `${CLIENT}/user/${encodeURIComponent(userId)}/account_data/m.ignored_user_list`;
    const answer = await this.#client.call("GET", path, { token, asPseudouser: false, abort });
    if (answer.status === 200) return new Set(Object.keys(objectAt(answer.body, "ignored_users")));
    return answer.status === 404 && answer.errcode === "M_NOT_FOUND" ? new Set() : null;
  }
}
