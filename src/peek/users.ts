import type { Clock } from "../model/clock.ts";
import type { RoomId, UserId } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";
import { SharedAnswers } from "../concurrency/shared-answers.ts";
import { Shares } from "../concurrency/shares.ts";
import type { Identity, TokenOwners } from "./contracts.ts";
import { tokenHash } from "../model/token-hash.ts";

const KEPT_MS = 60_000;
const KEPT = 10_000;
/** Concurrency of questions about tokens. A flood of invented tokens does not block tokens seen valid before. */
const QUESTIONS = { common: 0, each: 32, own: 32, waitingEach: 1_000, waiting: 2_000, wait: 120_000 } as const;

/**
 * Users by their tokens, which are kept as hashes. The cache serves requests that gain nothing new. A caller who
 * grants something (a lease, a place for a device) asks anew, so a logged-out token gets nothing from then on.
 * Methods throw as TokenOwners does.
 */
export class KnownUsers {
  readonly #owners: TokenOwners;
  readonly #known: SharedAnswers<Identity>;
  /** Tokens that were valid when last asked about. */
  readonly #seen = new Map<string, true>();
  readonly #questions: Shares;

  constructor(owners: TokenOwners, clock: Clock) {
    this.#owners = owners;
    this.#known = new SharedAnswers(clock, { ms: KEPT_MS, entries: KEPT });
    this.#questions = new Shares("questions about tokens", QUESTIONS, clock);
  }

  /**
   * Returns the token's owner; null if the token is unknown. Simultaneous calls share one question.
   * @param as the user for whom an appservice's token stands; this answer is not cached
   * @throws EmissaryError `limited` if too many tokens are being asked about
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

  /** Asks anew for the token's owner: an answer in progress may be from before a log-out. */
  identifyNow(token: string): Promise<Identity | null> {
    return this.#known.renew(tokenHash(token), () => this.#owners.ownerOf(token));
  }

  sees(token: string, roomId: RoomId): Promise<boolean> {
    return this.#owners.sees(token, roomId);
  }

  isMember(token: string, room: string, userId: UserId, as?: string): Promise<boolean> {
    return this.#owners.isMember(token, room, userId, as);
  }

  has(token: string, roomId: RoomId): Promise<boolean> {
    return this.#owners.has(token, roomId);
  }

  /** Returns the token's owner if cached or already being asked for; else null. */
  async known(token: string): Promise<Identity | null> {
    return (await this.#known.held(tokenHash(token))?.catch(() => null)) ?? null;
  }

  forget(token: string): void {
    this.#known.forget(tokenHash(token));
  }
}
