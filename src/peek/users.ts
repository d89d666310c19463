import { memberPath, roomPath } from "../http/client-paths.ts";
import type { Clock } from "../model/clock.ts";
import { isUserId, type RoomId, type UserId } from "../model/ids.ts";
import { stringAt } from "../model/json.ts";
import { remember } from "../concurrency/remember.ts";
import { SharedAnswers } from "../concurrency/shared-answers.ts";
import { Shares } from "../concurrency/shares.ts";
import { tokenHash } from "../model/token-hash.ts";
import type { Answer, HomeserverClient } from "../homeserver/client.ts";
import { failureOf } from "../homeserver/errors.ts";

const KEPT_MS = 60_000;
const KEPT = 10_000;
/** Concurrency of questions about tokens. A flood of invented tokens does not block tokens seen valid before. */
const QUESTIONS = { common: 0, each: 32, own: 32, waitingEach: 1_000, waiting: 2_000, wait: 120_000 } as const;

/** A token's owner, according to the homeserver. */
export interface Identity {
  readonly userId: UserId;
  /** Null if the homeserver names none, as for appservices' users. */
  readonly deviceId: string | null;
  readonly isGuest?: boolean;
}

/**
 * Users by their tokens, which are kept as hashes. The cache serves requests that gain nothing new. A caller who
 * grants something (a lease, a place for a device) asks anew, so a logged-out token gets nothing from then on.
 * Methods throw EmissaryError if the homeserver cannot be asked.
 */
export class KnownUsers {
  readonly #client: HomeserverClient;
  readonly #known: SharedAnswers<Identity>;
  /** Tokens that were valid when last asked about. */
  readonly #seen = new Map<string, true>();
  readonly #questions: Shares;

  constructor(client: HomeserverClient, clock: Clock) {
    this.#client = client;
    this.#known = new SharedAnswers(clock, { ms: KEPT_MS, entries: KEPT });
    this.#questions = new Shares("questions about tokens", QUESTIONS, clock);
  }

  /**
   * Returns the token's owner; null if the token is unknown. Simultaneous calls share one question.
   * @param as the user for whom an appservice's token stands; this answer is not cached
   * @throws EmissaryError `limited` if too many tokens are being asked about
   */
  identify(token: string, as?: string): Promise<Identity | null> {
    if (as !== undefined) return this.#ownerOf(token, as);
    const key = tokenHash(token);
    return this.#known.get(key, async () => {
      const place = await this.#questions.take(this.#seen.has(key) ? "seen" : "new");
      try {
        const identity = await this.#ownerOf(token);
        if (identity === null) this.#seen.delete(key);
        else remember(this.#seen, key, true, KEPT);
        return identity;
      } finally {
        place.free();
      }
    });
  }

  /** Asks anew for the token's owner: an answer in progress may be from before a log-out. */
  identifyNow(token: string): Promise<Identity | null> {
    return this.#known.renew(tokenHash(token), () => this.#ownerOf(token));
  }

  /** Returns the token's owner if cached or already being asked for; else null. */
  async known(token: string): Promise<Identity | null> {
    return (await this.#known.held(tokenHash(token))?.catch(() => null)) ?? null;
  }

  forget(token: string): void {
    this.#known.forget(tokenHash(token));
  }

  /** Whether the homeserver shows the token's owner the room. It has an `m.room.create`, as every room. */
  async sees(token: string, roomId: RoomId): Promise<boolean> {
    return (await this.#ask(roomPath(roomId, "state", "m.room.create", ""), token)).status === 200;
  }

  /** Whether the user (the token's owner, or `as`) is in the room. */
  async isMember(token: string, room: string, userId: UserId, as?: string): Promise<boolean> {
    const answer = await this.#ask(memberPath(room, userId), token, as);
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "return a membership");
    return answer.status === 200 && stringAt(answer.body, "membership") === "join";
  }

  /** Whether the homeserver is in the room: without a route it answers for no other (spec, "GET room summary"). */
  async has(token: string, roomId: RoomId): Promise<boolean> {
    return (await this.#ask(`/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}`, token)).status === 200;
  }

  async #ownerOf(token: string, as?: string): Promise<Identity | null> {
    const answer = await this.#ask("/_matrix/client/v3/account/whoami", token, as);
    const userId = stringAt(answer.body, "user_id");
    if (answer.status === 200 && userId !== null && isUserId(userId)) {
      const identity = { userId, deviceId: stringAt(answer.body, "device_id") };
      return answer.body["is_guest"] === true ? { ...identity, isGuest: true } : identity;
    }
    if (answer.status === 401 || answer.status === 403) return null;
    throw failureOf(answer, "name a token's owner");
  }

  #ask(path: string, token: string, as?: string): Promise<Answer> {
    const query = as === undefined ? {} : { query: { user_id: as } };
    return this.#client.call("GET", path, { asPseudouser: false, token, ...query });
  }
}
