import type { Clock } from "../../model/clock.ts";
import type { UserId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import { tokenHash } from "../../model/token-hash.ts";
import type { Askers } from "./contracts.ts";

/** How long the homeserver's answer about a token is good enough for a client that follows a room, in milliseconds. */
const KEPT_MS = 30_000;
const KEPT = 4_000;
/** Longer lists are not cached: together they would take too much memory. */
const MOST_IGNORED = 50;

interface Word {
  readonly userId: UserId;
  /** Null until the homeserver answers. */
  said: { readonly at: number; readonly ignored: ReadonlySet<string> } | null;
}

/**
 * The homeserver's answers about tokens: that they are valid, and whom their users ignore. Kept half a minute for
 * clients that wait for messages, or until a sign of a change.
 */
export class AskersWords implements Askers {
  readonly #askers: Askers;
  readonly #clock: Clock;
  /** By token hash. An entry forgotten during a request takes that request's answer with it. */
  readonly #words = new Map<string, Word>();

  constructor(askers: Askers, clock: Clock) {
    this.#askers = askers;
    this.#clock = clock;
  }

  /** Returns the homeserver's answer, current or cached. */
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

  /** Whether the homeserver accepted the token recently. */
  isProven(token: string): boolean {
    const said = this.#words.get(tokenHash(token))?.said ?? null;
    return said !== null && this.#clock.now() - said.at < KEPT_MS;
  }

  /** Forgets the answer: the homeserver has news for the owner, perhaps an ignore list, or rejects the token. */
  doubt(token: string): void {
    this.#words.delete(tokenHash(token));
  }

  /** Forgets the answers about a user who writes an ignore list. */
  doubtUser(userId: string): void {
    for (const [key, word] of this.#words) if (word.userId === userId) this.#words.delete(key);
  }
}
