import { hash } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Identity, TokenOwners } from "./contracts.ts";

/** A user who logs out is to be a stranger within a minute. */
const KEPT_MS = 60_000;
const KEPT = 10_000;

interface Known {
  readonly until: number;
  readonly identity: Promise<Identity | null>;
}

/** Users by their tokens, which the homeserver is asked about once a minute. Tokens are kept as hashes. */
export class KnownUsers {
  readonly #owners: TokenOwners;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();

  constructor(owners: TokenOwners, clock: Clock) {
    this.#owners = owners;
    this.#clock = clock;
  }

  /** Null for a token that is nobody's. Many who ask at once share one question. @throws EmissaryError as TokenOwners does */
  identify(token: string): Promise<Identity | null> {
    const key = hash("sha256", token, "base64url");
    const known = this.#live(key);
    if (known !== null) return known;
    const identity = this.#owners.ownerOf(token);
    const entry = { until: this.#clock.now() + KEPT_MS, identity };
    this.#known.delete(key);
    this.#known.set(key, entry);
    if (this.#known.size > KEPT) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    const forget = (): void => {
      if (this.#known.get(key) === entry) this.#known.delete(key);
    };
    // Strangers are not remembered: they would push out those who are known.
    identity.then((found) => {
      if (found === null) forget();
    }, forget);
    return identity;
  }

  /** Whether the homeserver lets the token's owner see the room at all. @throws EmissaryError as TokenOwners does */
  sees(token: string, roomId: RoomId): Promise<boolean> {
    return this.#owners.sees(token, roomId);
  }

  /** Who asks, if that is known without asking; else null. */
  async known(token: string): Promise<Identity | null> {
    return (await this.#live(hash("sha256", token, "base64url"))?.catch(() => null)) ?? null;
  }

  #live(key: string): Promise<Identity | null> | null {
    const known = this.#known.get(key);
    return known !== undefined && this.#clock.now() < known.until ? known.identity : null;
  }
}
