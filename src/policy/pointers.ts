import type { Asker } from "../model/asker.ts";
import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { serverOf, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";
import { refusedByRule } from "./rule-text.ts";
import type { RuleMatch } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";

/** A room and routes to it. */
export interface RoomTarget {
  readonly roomId: RoomId;
  readonly via: readonly ServerName[];
}

/** Where aliases point, according to the homeserver. */
export interface Aliases {
  /** Returns null if the alias is unknown. @throws EmissaryError if the homeserver cannot tell, or too many ask */
  resolve(alias: RoomAlias, asker?: Asker): Promise<RoomTarget | null>;
}

/** `unknown`: the directory cannot tell now and has given no recent answer. */
export type Pointing = "there" | "elsewhere" | "unknown";

export interface Seen {
  /** Null if the alias points nowhere. */
  readonly roomId: RoomId | null;
  readonly at: number;
}

export interface PointersParts {
  readonly directory: Aliases;
  readonly rules: Pick<RuleBook, "ruleFor">;
  readonly server: ServerName;
  readonly clock: Clock;
}

/** How long an answer of the directory is valid. */
const FRESH_MS = 5 * 60_000;
/** The same for a room that we are in, while the directory fails: a short outage must not make us leave. */
const HELD_MS = 60 * 60_000;
/** Pause after a failure, and the longest wait for an answer. */
const FAILED_MS = 30_000;
const WAIT_MS = 10_000;
/** Cached aliases, failures included: the most recently used. */
const KEPT = 10_000;

/**
 * Where aliases point. All questions to the directory go through here: it asks the alias's server over federation, so
 * an alias of a denied server is not asked for. A room's own claim to an alias never counts.
 */
export class Pointers implements Aliases {
  readonly #parts: PointersParts;
  readonly #seen = new Map<RoomAlias, Seen>();
  readonly #failing = new Map<RoomAlias, { readonly since: number; readonly at: number }>();

  constructor(parts: PointersParts) {
    this.#parts = parts;
  }

  /**
   * Asks the directory now.
   * @throws EmissaryError `refused-by-policy` if the alias's server is denied; the homeserver's failure
   */
  async resolve(alias: RoomAlias, asker?: Asker): Promise<RoomTarget | null> {
    this.requireAskable(alias);
    try {
      return await this.#ask(alias, asker);
    } catch (error) {
      // An asker that gave up or asks too often says nothing about the directory.
      const isOfAsker = error instanceof EmissaryError && (error.code === "limited" || error.code === "timeout");
      if (!isOfAsker) this.#fails(alias);
      throw error;
    }
  }

  /** @throws EmissaryError `refused-by-policy` if the alias's server is denied */
  requireAskable(alias: RoomAlias): void {
    const denial = this.#denialOf(alias);
    if (denial !== null) throw refusedByRule(`The alias ${alias} is not asked for`, denial);
  }

  /** Returns whether an alias points to a room. @param isHeld whether we are in the room already */
  async pointing(alias: RoomAlias, roomId: RoomId, isHeld: boolean): Promise<Pointing> {
    if (this.#denialOf(alias) !== null) return "elsewhere";
    const seen = this.#seen.get(alias);
    if (seen === undefined || this.#age(seen.at) >= FRESH_MS) await this.#look(alias);
    const found = this.#seen.get(alias);
    const holds = isHeld ? HELD_MS : FRESH_MS;
    if (found !== undefined && this.#age(found.at) < holds) return found.roomId === roomId ? "there" : "elsewhere";
    const failing = this.#failing.get(alias);
    return failing !== undefined && this.#age(failing.since) >= HELD_MS ? "elsewhere" : "unknown";
  }

  /** Returns the directory's last answer, without asking. */
  seen(alias: RoomAlias): Seen | null {
    return this.#seen.get(alias) ?? null;
  }

  #denialOf(alias: RoomAlias): RuleMatch | null {
    const text = serverOf(alias);
    if (text === this.#parts.server) return null;
    const entity = { kind: "server", text } as const;
    const rule = this.#parts.rules.ruleFor(entity);
    return rule?.verdict === "deny" ? { entity, rule } : null;
  }

  /** Asks the directory if the answer is too old, and waits for a limited time. Never rejects. */
  async #look(alias: RoomAlias): Promise<void> {
    const failing = this.#failing.get(alias);
    if (failing !== undefined && this.#age(failing.at) < FAILED_MS) return;
    const over = new AbortController();
    const late = this.#parts.clock.sleep(WAIT_MS, over.signal).then(() => {
      if (!over.signal.aborted) this.#fails(alias);
    });
    await Promise.race([late, this.#ask(alias).catch(() => this.#fails(alias))]);
    over.abort();
  }

  async #ask(alias: RoomAlias, asker?: Asker): Promise<RoomTarget | null> {
    const found = await this.#parts.directory.resolve(alias, asker);
    remember(this.#seen, alias, { roomId: found?.roomId ?? null, at: this.#parts.clock.now() }, KEPT);
    this.#failing.delete(alias);
    return found;
  }

  #fails(alias: RoomAlias): void {
    const at = this.#parts.clock.now();
    remember(this.#failing, alias, { since: this.#failing.get(alias)?.since ?? at, at }, KEPT);
  }

  /** If the clock was set back, answers do not become younger. */
  #age(at: number): number {
    const age = this.#parts.clock.now() - at;
    return age < 0 ? Infinity : age;
  }
}
