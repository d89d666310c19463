import type { Clock } from "../../model/clock.ts";
import type { UserId } from "../../model/ids.ts";
import { objectAt } from "../../model/json.ts";
import { remember } from "../../concurrency/remember.ts";
import { tokenHash } from "../../model/token-hash.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { CLIENT } from "../homeserver/held-answer.ts";

/** How long the homeserver's answer about a token is good enough for a client that follows a room, in milliseconds. */
const KEPT_MS = 30_000;
const KEPT = 4_000;
/** Longer lists are not cached: together they would take too much memory. */
const MOST_IGNORED = 50;

/** Returns whom the token's owner ignores; null if the homeserver rejects the token, which must then get nothing. */
export type IgnoredBy = (token: string, userId: UserId, abort: AbortSignal) => Promise<ReadonlySet<string> | null>;

/** Makes the function that asks the homeserver each time, with the user's own token. */
export function ignoredByOn(client: HomeserverClient): IgnoredBy {
  return async (token, userId, abort) => {
    const path = `${CLIENT}/user/${encodeURIComponent(userId)}/account_data/m.ignored_user_list`;
    const answer = await client.call("GET", path, { token, asPseudouser: false, abort });
    if (answer.status === 200) return new Set(Object.keys(objectAt(answer.body, "ignored_users")));
    return answer.status === 404 && answer.errcode === "M_NOT_FOUND" ? new Set() : null;
  };
}

interface Check {
  readonly userId: UserId;
  /** Null until the homeserver answers. */
  answer: { readonly at: number; readonly ignored: ReadonlySet<string> } | null;
}

/**
 * The homeserver's answers about tokens: that they are valid, and whom their users ignore. Kept half a minute for
 * clients that wait for messages, or until a sign of a change.
 */
export class TokenChecks {
  readonly #ask: IgnoredBy;
  readonly #clock: Clock;
  /** By token hash. An entry forgotten during a request takes that request's answer with it. */
  readonly #checks = new Map<string, Check>();

  constructor(ask: IgnoredBy, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** Returns the homeserver's answer, current or cached. */
  readonly ignoredBy: IgnoredBy = async (token, userId, abort) => {
    const key = tokenHash(token);
    const known = this.#checks.get(key);
    const now = this.#clock.now();
    const answer = known?.answer ?? null;
    if (answer !== null && now - answer.at < KEPT_MS) return answer.ignored;
    const check = known ?? { userId, answer: null };
    remember(this.#checks, key, check, KEPT);
    const ignored = await this.#ask(token, userId, abort);
    check.answer = ignored === null || ignored.size > MOST_IGNORED ? null : { at: now, ignored };
    return ignored;
  };

  /** Whether the homeserver accepted the token recently. */
  isProven(token: string): boolean {
    const answer = this.#checks.get(tokenHash(token))?.answer ?? null;
    return answer !== null && this.#clock.now() - answer.at < KEPT_MS;
  }

  /** Forgets the answer: the homeserver has news for the owner, perhaps an ignore list, or rejects the token. */
  doubt(token: string): void {
    this.#checks.delete(tokenHash(token));
  }

  /** Forgets the answers about a user who writes an ignore list. */
  doubtUser(userId: string): void {
    for (const [key, check] of this.#checks) if (check.userId === userId) this.#checks.delete(key);
  }
}
