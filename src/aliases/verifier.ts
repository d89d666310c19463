import type { Throttle } from "../concurrency/throttle.ts";
import type { Keeper } from "../attendance/keeper.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import type { RoomTarget } from "../attendance/leases/target.ts";
import type { AliasState } from "./alias.ts";
import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { serverOf, type RoomAlias, type UserId } from "../model/ids.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import type { Holder, LeaseWish } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { mergeVia } from "../model/room.ts";
import { decide, isPassing, refused, type AliasOptions, type Occasion } from "./decide.ts";
import type { HomeserverAliasDirectory } from "./homeserver-directory.ts";
import type { SqliteAliasStore } from "./store.ts";
import { RetryingThrottle } from "../concurrency/retrying-throttle.ts";

/** Most aliases that are kept. */
export const MAX_ALIASES = 10_000;

export interface AliasParts {
  readonly own: UserId;
  readonly store: SqliteAliasStore;
  readonly directory: HomeserverAliasDirectory;
  readonly desk: LeaseDesk;
  readonly keeper: Pick<Keeper, "untilPresent">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly options: AliasOptions;
  readonly stopping: AbortSignal;
}

/** Refusals for lack of a shared resource: for the rest of the sweep, asking for other rooms is useless. */
const SHARED = new Set(["busy", "budget-all", "room-cap"]);

export function holderOf(alias: RoomAlias): Holder {
  return { kind: "alias", name: alias };
}

/**
 * Checks where an alias points, and takes a lease there. Stores each step before the next, so a sweep completes what a
 * crash interrupted. Believes only the directory.
 */
export class AliasVerifier {
  readonly throttle: RetryingThrottle;
  readonly #parts: AliasParts;
  readonly #mutex = new KeyedMutex<RoomAlias>();
  /** During a sweep: why no more rooms are taken. */
  #shortage: EmissaryError | null = null;
  #retryAfter: number | null = null;
  #isFull = false;

  constructor(parts: AliasParts) {
    this.#parts = parts;
    this.throttle = new RetryingThrottle(parts.clock, parts.random, parts.stopping);
  }

  /** Resets the memory of temporary refusals. */
  begin(): void {
    this.#shortage = null;
    this.#retryAfter = null;
  }

  /** Milliseconds until temporary refusals are worth a retry; null if there are none. */
  get retryAfter(): number | null {
    return this.#retryAfter;
  }

  /** Serializes work on each alias. */
  alone<T>(alias: RoomAlias, work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(alias, work);
  }

  /**
   * Checks an alias. Returns its new state; null if it points nowhere, or is one too many.
   * @throws EmissaryError if the homeserver cannot answer; then nothing has changed
   */
  verify(alias: RoomAlias, occasion: Occasion, rate: Throttle): Promise<AliasState | null> {
    return this.alone(alias, () => this.look(alias, occasion, rate));
  }

  /** The same, for a caller inside `alone`. */
  async look(alias: RoomAlias, occasion: Occasion, rate: Throttle): Promise<AliasState | null> {
    const { own, store, desk, clock, options } = this.#parts;
    const found = await this.#resolve(alias, rate);
    const facts = await store.facts(alias, found?.roomId ?? null, own);
    const decision = decide({ alias, target: found?.roomId ?? null, facts, occasion, now: clock.now(), options });
    for (const roomId of decision.release) await desk.release(roomId, holderOf(alias));
    const { record } = decision;
    if (decision.then === "forget") {
      await store.forget(alias);
      return null;
    }
    if (record === null) return facts.known?.state ?? null;
    if (!(await store.put(record, MAX_ALIASES))) {
      if (!this.#isFull) this.#parts.log.warn("aliases.too-many", { most: MAX_ALIASES });
      this.#isFull = true;
      return null;
    }
    if (decision.then === "rest") return record.state;
    const via = mergeVia(found?.via ?? [], facts.via);
    const others = via.filter((server) => server !== serverOf(own));
    const refusal =
      (occasion === "sweep" ? this.#shortage : null) ??
      (await this.#take({ roomId: record.roomId, holder: holderOf(alias), alias, via: others, ttl: null }, rate));
    if (refusal === null) return record.state;
    const isHidden = refusal.reason === "not-visible";
    const isResident = isHidden
      ? await this.throttle.ask(rate, () => this.#parts.directory.isResident(record.roomId))
      : null;
    const outcome = refused(refusal, isResident, others);
    const before = facts.known;
    const isSame = before?.roomId === record.roomId && before.state === outcome.state;
    await store.put({ ...record, ...outcome, since: isSame ? before.since : record.checkedAt }, MAX_ALIASES);
    return outcome.state;
  }

  /** Takes the lease. Returns null, or policy's refusal. */
  async #take(wish: LeaseWish, rate: Throttle): Promise<EmissaryError | null> {
    return this.throttle.ask(rate, async () => {
      try {
        await this.#parts.desk.take(wish);
        return null;
      } catch (error) {
        // The homeserver's own rate limit throws, too, but without a reason.
        if (!(error instanceof EmissaryError) || error.reason === null) throw error;
        if (error.code !== "refused-by-policy" && !isPassing(error.code)) throw error;
        if (isPassing(error.code)) {
          this.#retryAfter = Math.min(this.#retryAfter ?? Infinity, error.retryAfter ?? Infinity);
        }
        if (SHARED.has(error.reason)) this.#shortage ??= error;
        return error;
      }
    });
  }

  /** Resolves the alias, after completing an interrupted repair. */
  async #resolve(alias: RoomAlias, rate: Throttle): Promise<RoomTarget | null> {
    const { store, directory } = this.#parts;
    const found = await this.throttle.ask(rate, () => directory.resolve(alias));
    if (found !== null) return found;
    const moving = (await store.line(alias))?.known.movingTo ?? null;
    if (moving === null) return null;
    await this.throttle.ask(rate, () => directory.point(alias, moving));
    return this.throttle.ask(rate, () => directory.resolve(alias));
  }
}
