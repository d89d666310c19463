import type { Throttle } from "../concurrency/throttle.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import type { AliasState } from "./alias.ts";
import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { serverOf, type RoomAlias, type UserId } from "../model/ids.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import type { Holder, LeaseWish } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { mergeVia } from "../model/room.ts";
import type { AliasDirectory, AliasStore } from "./contracts.ts";
import { decide, isPassing, refused, type AliasOptions, type Occasion } from "./decide.ts";
import type { RetryingThrottle } from "../concurrency/retrying-throttle.ts";

/** More aliases than this are not kept. */
export const MAX_ALIASES = 10_000;

export interface VerifierParts {
  readonly own: UserId;
  readonly store: AliasStore;
  readonly directory: AliasDirectory;
  readonly desk: LeaseDesk;
  readonly throttle: RetryingThrottle;
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: AliasOptions;
}

/** What they run out of is everybody's: in the same sweep, asking for the next room is of no use. */
const SHARED = new Set(["busy", "budget-all", "room-cap"]);

export function holderOf(alias: RoomAlias): Holder {
  return { kind: "alias", name: alias };
}

/**
 * Looks where an alias points, and has the pseudouser be there. The directory is believed and nobody else. Each step is written
 * before the next: what a crash leaves half done the next sweep does.
 */
export class AliasVerifier {
  readonly #parts: VerifierParts;
  readonly #mutex = new KeyedMutex<RoomAlias>();
  /** In a sweep: why no more rooms are taken. */
  #shortage: EmissaryError | null = null;
  #retryAfter: number | null = null;
  #isFull = false;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  /** Begins to count anew what was refused for now only. */
  begin(): void {
    this.#shortage = null;
    this.#retryAfter = null;
  }

  /** After how many milliseconds asking again can help those that were refused for now only; null where none was. */
  get retryAfter(): number | null {
    return this.#retryAfter;
  }

  /** One at a time for each alias. */
  alone<T>(alias: RoomAlias, work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(alias, work);
  }

  /**
   * How the alias stands at the end; null where it points nowhere, or is one too many.
   * @throws EmissaryError where the homeserver cannot tell; then nothing has changed
   */
  verify(alias: RoomAlias, occasion: Occasion, rate: Throttle): Promise<AliasState | null> {
    return this.alone(alias, () => this.look(alias, occasion, rate));
  }

  /** The same, for whoever has the alias alone. */
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
      this.#tellFull();
      return null;
    }
    if (decision.then === "rest") return record.state;
    const via = mergeVia(found?.via ?? [], facts.via);
    const others = via.filter((server) => server !== serverOf(own));
    const refusal =
      (occasion === "sweep" ? this.#shortage : null) ??
      (await this.#take({ roomId: record.roomId, holder: holderOf(alias), alias, via: others, ttl: null }, rate));
    if (refusal === null) return record.state;
    const { directory, throttle } = this.#parts;
    const isResident =
      refusal.reason === "not-visible" ? await throttle.ask(rate, () => directory.isResident(record.roomId)) : null;
    const outcome = refused(refusal, isResident, others);
    const before = facts.known;
    const isSame = before?.roomId === record.roomId && before.state === outcome.state;
    await store.put({ ...record, ...outcome, since: isSame ? before.since : record.checkedAt }, MAX_ALIASES);
    return outcome.state;
  }

  /** Null where the lease was taken, else policy's refusal. */
  async #take(wish: LeaseWish, rate: Throttle): Promise<EmissaryError | null> {
    const { desk, throttle } = this.#parts;
    return throttle.ask(rate, async () => {
      try {
        await desk.take(wish);
        return null;
      } catch (error) {
        // The homeserver, too, limits how often it is asked, and then says nothing of reasons.
        if (!(error instanceof EmissaryError) || error.reason === null) throw error;
        if (error.code !== "refused-by-policy" && !isPassing(error.code)) throw error;
        this.#note(error);
        return error;
      }
    });
  }

  /** Where it points, after a repair that was broken off is finished. */
  async #resolve(alias: RoomAlias, rate: Throttle): ReturnType<AliasDirectory["resolve"]> {
    const { store, directory, throttle } = this.#parts;
    const found = await throttle.ask(rate, () => directory.resolve(alias));
    if (found !== null) return found;
    const moving = (await store.line(alias))?.known.movingTo ?? null;
    if (moving === null) return null;
    await throttle.ask(rate, () => directory.point(alias, moving));
    return throttle.ask(rate, () => directory.resolve(alias));
  }

  #note(refusal: EmissaryError): void {
    if (isPassing(refusal.code)) {
      this.#retryAfter = Math.min(this.#retryAfter ?? Infinity, refusal.retryAfter ?? Infinity);
    }
    if (SHARED.has(refusal.reason ?? "")) this.#shortage ??= refusal;
  }

  #tellFull(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#parts.log.warn("aliases.too-many", { most: MAX_ALIASES });
  }
}
