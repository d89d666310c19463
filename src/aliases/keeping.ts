import type { Throttle } from "../concurrency/throttle.ts";
import type { SweepProgress } from "./alias.ts";
import type { RoomEvent } from "../model/event.ts";
import { EmissaryError, sentenceOf } from "../model/errors.ts";
import { serverOf, type RoomAlias, type RoomId } from "../model/ids.ts";
import { Signal } from "../concurrency/signal.ts";
import { workUntil } from "../concurrency/worker.ts";
import { mentionIn, MentionQueue } from "./mention-queue.ts";
import { again, leasesOf, sweep } from "./sweep.ts";
import { AliasVerifier, holderOf, type AliasParts } from "./verifier.ts";

/** Requests a second: for aliases in events, and in a sweep. */
const MENTIONED_PER_SECOND = 2;
const SWEPT_PER_SECOND = 10;
/** Delay before an interrupted sweep is repeated. */
const BROKEN_OFF_MS = 10 * 60_000;
/** Shortest delay before a temporary refusal is retried. */
const SOONEST_AGAIN_MS = 60_000;
/** Longest sleep: the clock may jump while we sleep. */
const LONGEST_SLEEP_MS = 60_000;
/** Aliases of one changed room that are checked; and changed rooms that may be queued. */
const MAX_OF_ROOM = 100;
const MAX_CHANGED = 1_000;

/**
 * Keeps alive the rooms that aliases of our server point to (matrix-doc#534): each of these aliases has a lease in its
 * room. Events reveal aliases at once, and sweeps find the rest. Only the directory decides where an alias points.
 */
export class AliasKeeping {
  readonly verifier: AliasVerifier;
  /** The rate limit of sweeps and of the operator's requests. */
  readonly rate: Throttle;
  readonly #parts: AliasParts;
  readonly #queue: MentionQueue;
  readonly #mentioned: Throttle;
  readonly #asked = new Signal();
  #isAsked = true;
  #progress: SweepProgress = { running: false, finishedAt: null, failure: null, nextAt: null };
  /** Rooms whose aliases may have changed, according to an event. */
  readonly #changed = new Set<RoomId>();

  constructor(parts: AliasParts) {
    this.#parts = parts;
    this.#queue = new MentionQueue(parts.clock);
    this.verifier = new AliasVerifier(parts);
    this.#mentioned = this.verifier.throttle.atMost(MENTIONED_PER_SECOND);
    this.rate = this.verifier.throttle.atMost(SWEPT_PER_SECOND);
  }

  get isOn(): boolean {
    return this.#parts.options.keep;
  }

  get progress(): SweepProgress {
    return this.#progress;
  }

  /** Queues the aliases in new events. Never blocks. If the queue is full, it drops them. */
  heard(events: readonly RoomEvent[]): void {
    if (!this.isOn) return;
    const { own } = this.#parts;
    for (const event of events) {
      const mention = mentionIn(event, serverOf(own));
      if (mention === null) continue;
      if (this.#changed.size < MAX_CHANGED) this.#changed.add(mention.roomId);
      this.#queue.add(mention.aliases);
      this.#queue.added.notify();
    }
  }

  /** Starts a sweep, or another one after the current one. */
  sweepNow(): void {
    this.#isAsked = true;
    this.#asked.notify();
  }

  async run(): Promise<void> {
    if (!this.isOn) return this.#giveUp();
    await Promise.all([this.#hearEvents(), this.#sweepForever()]);
  }

  /** Runs if aliases are no longer kept: releases their leases. */
  async #giveUp(): Promise<void> {
    const { store, desk, log, stopping } = this.#parts;
    try {
      for await (const { roomId, alias } of leasesOf(store)) {
        if (stopping.aborted) return;
        await desk.release(roomId, holderOf(alias));
      }
    } catch (error) {
      log.error("aliases.failed", { error });
    }
  }

  async #hearEvents(): Promise<void> {
    const { log, stopping, clock, store } = this.#parts;
    await workUntil(stopping, {
      round: async () => {
        const changed = [...this.#changed];
        this.#changed.clear();
        for (const roomId of changed) this.#queue.add(await store.ofRoom(roomId, MAX_OF_ROOM));
        const next = this.#queue.next();
        if (next.alias === null) return next.wait;
        await this.#verifyMentioned(next.alias);
        return 0;
      },
      signals: [this.#queue.added],
      longest: LONGEST_SLEEP_MS,
      failed: (error) => log.error("aliases.failed", { error }),
      clock,
    });
  }

  async #verifyMentioned(alias: RoomAlias): Promise<void> {
    try {
      await this.verifier.verify(alias, "event", this.#mentioned);
    } catch (error) {
      if (!(error instanceof EmissaryError) || error.code === "internal") throw error;
      if (!this.#parts.stopping.aborted) this.#parts.log.warn("aliases.not-verified", { alias, reason: error.message });
    }
  }

  async #sweepForever(): Promise<void> {
    const { clock, log, stopping, options } = this.#parts;
    let sweepAt = clock.now();
    let againAt = Infinity;
    const round = async (): Promise<number> => {
      const now = clock.now();
      if (this.#isAsked || Math.min(sweepAt, againAt) <= now) {
        const isWhole = this.#isAsked || sweepAt <= now;
        this.#isAsked = false;
        const isDone = await this.#round(isWhole);
        if (isWhole) sweepAt = clock.now() + (isDone ? options.sweep : Math.min(options.sweep, BROKEN_OFF_MS));
        const { retryAfter } = this.verifier;
        againAt = retryAfter === null ? Infinity : clock.now() + Math.max(retryAfter, SOONEST_AGAIN_MS);
      }
      // If the clock was set back, this bounds the delay of the next sweep.
      sweepAt = Math.min(sweepAt, clock.now() + options.sweep);
      this.#progress = { ...this.#progress, running: false, nextAt: sweepAt };
      return Math.min(sweepAt, againAt) - clock.now();
    };
    const failed = (error: unknown): void => log.error("aliases.failed", { error });
    await workUntil(stopping, { round, signals: [this.#asked], longest: LONGEST_SLEEP_MS, failed, clock });
  }

  /** Runs a sweep, or retries temporary refusals. Returns false if it was interrupted. */
  async #round(isWhole: boolean): Promise<boolean> {
    const { clock, log, stopping } = this.#parts;
    this.#progress = { ...this.#progress, running: isWhole };
    this.verifier.begin();
    try {
      if (!isWhole) {
        await again(this.#parts, this.verifier, this.rate);
        return true;
      }
      const aliases = await sweep(this.#parts, this.verifier, this.rate);
      this.#progress = { ...this.#progress, finishedAt: clock.now(), failure: null };
      log.info("aliases.swept", { aliases });
      return true;
    } catch (error) {
      if (stopping.aborted) return false;
      const failure = sentenceOf(error);
      this.#progress = { ...this.#progress, failure };
      if (error instanceof EmissaryError && error.code !== "internal")
        log.warn("aliases.sweep-failed", { reason: failure });
      else log.error("aliases.failed", { error });
      return false;
    }
  }
}
