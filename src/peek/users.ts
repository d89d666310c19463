import type { Clock } from "../model/clock.ts";
import type { RoomId, UserId } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";
import { SharedAnswers } from "../concurrency/shared-answers.ts";
import { Shares } from "../concurrency/shares.ts";
import type { Identity, TokenOwners } from "./contracts.ts";
import { tokenHash } from "../model/token-hash.ts";

const KEPT_MS = 60_000;
const KEPT = 10_000;
/** Questions about tokens under way; a flood of made-up ones takes only the places of those that were never anybody's. */
const QUESTIONS = { common: 0, each: 32, own: 32, waitingEach: 1_000, waiting: 2_000, wait: 120_000 } as const;

/**
 * Users by their tokens. What is remembered spares questions where nothing new is given; whoever gives something (a lease, a place for a
 * device) asks the homeserver anew, so that a token that was logged out gets nothing from that moment on. Tokens are kept as hashes.
 */
export class KnownUsers {
  readonly #owners: TokenOwners;
  readonly #known: SharedAnswers<Identity>;
  /** Tokens that were somebody's when they were asked about last. */
  readonly #seen = new Map<string, true>();
  readonly #questions: Shares;

  constructor(owners: TokenOwners, clock: Clock) {
    this.#owners = owners;
    this.#known = new SharedAnswers(clock, { ms: KEPT_MS, entries: KEPT });
    this.#questions = new Shares("questions about tokens", QUESTIONS, clock);
  }

  /**
   * Null for a token that is nobody's. Many who ask at once share one question.
   * @param as the user that an appservice's token is to stand for; this is remembered by nobody
   * @throws EmissaryError as TokenOwners does; `limited` where too many tokens are asked about
   */
  identify(token: string, as?: string): Promise<Identity | null> {
    if (as !== undefined) return this.#owners.ownerOf(token, as);
    const key = tokenHash(token);
    return this.#known.get(key, async () => {
      const place = await this.#questions.take(this.#seen.has(key) ? "seen" : "new");
      try {
        const identity = await this.#owners.ownerOf(token);
        if (identity === null) this.#seen.delete(key);
        else remember(this.#seen, key, true, KEPT);
        return identity;
      } finally {
        place.free();
      }
    });
  }

  /**
   * Whose the token is now, by a question that is asked after this call: one that is under way may have been answered before a log-out.
   * @throws EmissaryError as TokenOwners does
   */
  identifyNow(token: string): Promise<Identity | null> {
    return this.#known.renew(tokenHash(token), () => this.#owners.ownerOf(token));
  }

  /** Whether the homeserver lets the token's owner see the room at all. @throws EmissaryError as TokenOwners does */
  sees(token: string, roomId: RoomId): Promise<boolean> {
    return this.#owners.sees(token, roomId);
  }

  /** Whether the user, who is the token's owner or `as`, is in the room. @throws EmissaryError as TokenOwners does */
  isMember(token: string, room: string, userId: UserId, as?: string): Promise<boolean> {
    return this.#owners.isMember(token, room, userId, as);
  }

  /** Whether the homeserver is in a room that it may tell the token's owner of. @throws EmissaryError as TokenOwners does */
  has(token: string, roomId: RoomId): Promise<boolean> {
    return this.#owners.has(token, roomId);
  }

  /** Who asks, if that is known without asking; else null. */
  async known(token: string): Promise<Identity | null> {
    return (await this.#known.held(tokenHash(token))?.catch(() => null)) ?? null;
  }

  /** The homeserver said that it does not know the token. */
  forget(token: string): void {
    this.#known.forget(tokenHash(token));
  }
}
