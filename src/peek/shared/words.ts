import type { Clock } from "../../model/clock.ts";
import type { UserId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import { tokenHash } from "../../model/token-hash.ts";
import type { Askers } from "./contracts.ts";

/** So long the homeserver's word of a token is good enough for whoever follows a room, milliseconds. */
const KEPT_MS = 30_000;
const KEPT = 4_000;
/** A longer list is asked for each time: together they would be too much. */
const MOST_IGNORED = 50;

interface Word {
  readonly userId: UserId;
  /** Null until the homeserver has said something. */
  said: { readonly at: number; readonly ignored: ReadonlySet<string> } | null;
}

/**
 * What the homeserver said of tokens: that they count, and whom their users ignore. It is kept for those who wait for one message after the
 * other, for half a minute, and no longer than until there is a sign that it may be another by now.
 */
export class AskersWords implements Askers {
  readonly #askers: Askers;
  readonly #clock: Clock;
  /** By the hash of the token. One that is forgotten while it is asked about takes what is said with it. */
  readonly #words = new Map<string, Word>();

  constructor(askers: Askers, clock: Clock) {
    this.#askers = askers;
    this.#clock = clock;
  }

  /** As the homeserver says it, now or lately. */
  async ignoredBy(token: string, userId: UserId, abort: AbortSignal): Promise<ReadonlySet<string> | null> {
    const key = tokenHash(token);
    const known = this.#words.get(key);
    const now = this.#clock.now();
    const said = known?.said ?? null;
    if (said !== null && now - said.at < KEPT_MS) return said.ignored;
    const word = known ?? { userId, said: null };
    remember(this.#words, key, word, KEPT);
    const ignored = await this.#askers.ignoredBy(token, userId, abort);
    word.said = ignored === null || ignored.size > MOST_IGNORED ? null : { at: now, ignored };
    return ignored;
  }

  /** Whether the homeserver took the token lately. */
  isProven(token: string): boolean {
    const said = this.#words.get(tokenHash(token))?.said ?? null;
    return said !== null && this.#clock.now() - said.at < KEPT_MS;
  }

  /** The homeserver has something for the token's owner, or knows the token no more: whom the user ignores may be part of that. */
  doubt(token: string): void {
    this.#words.delete(tokenHash(token));
  }

  /** The user writes whom to ignore. */
  doubtUser(userId: string): void {
    for (const [key, word] of this.#words) if (word.userId === userId) this.#words.delete(key);
  }
}
