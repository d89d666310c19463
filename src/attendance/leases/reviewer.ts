import type { Clock } from "../../model/clock.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { HolderKind, Lease } from "../../model/lease.ts";
import type { Logger } from "../../model/logger.ts";
import { remember } from "../../concurrency/remember.ts";
import { Signal } from "../../concurrency/signal.ts";
import type { Verdict, VerdictCode } from "../../model/verdict.ts";
import { restUntil, workUntil, type Work } from "../../concurrency/worker.ts";
import type { Policy } from "../../policy/policy.ts";
import type { ReviewStore, ReviewTicket } from "../store/reviews.ts";

export interface ReviewerParts {
  readonly store: ReviewStore;
  readonly policy: Pick<Policy, "judge">;
  /** Fires after a commit that brought events. */
  readonly committed: Signal;
  /** Fires when a room may have been loaded. */
  readonly stepped: Signal;
  /** Fires when rules changed or the configuration was reloaded. */
  readonly rules: Signal;
  /** Fires when tenants or their grants changed. */
  readonly tenants: Signal;
  /** Fires when leases ended. */
  readonly ended: Signal;
  /** Called for leases that ended this way. */
  readonly refused: (code: string, holder: HolderKind, leases: number) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Rooms in one round, and leases ended in one commit. */
const BATCH = 50;
const LEASES_AT_ONCE = 200;
const LONGEST_SLEEP_MS = 10_000;
/** Others get their turn between two rounds. */
const BREATH_MS = 1;
/** Transactions arrive by the hundred a second, so not each one causes a look. */
const LOOK_MS = 250;
/** Number of rooms whose failures are counted. */
const REMEMBERED = 1_000;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 10 * 60_000;

/** Verdicts after which we leave a room at once. */
const LEFT_AT_ONCE: ReadonlySet<VerdictCode> = new Set(["denied", "listed", "server-acl", "flooded"]);
/** Verdicts that do not depend on the room's state, so they also hold while the room is being loaded. */
const BLIND: ReadonlySet<VerdictCode> = new Set([...LEFT_AT_ONCE, "not-allowed", "upgrade-chain"]);

/** Judges leases again when facts or rules change, and ends refused ones. The keeper leaves rooms without leases. */
export class Reviewer {
  readonly #parts: ReviewerParts;
  /** Fires when this class requested reviews. */
  readonly #asked = new Signal();
  /** Failures in a row, by room. */
  readonly #failures = new Map<RoomId, number>();

  constructor(parts: ReviewerParts) {
    this.#parts = parts;
  }

  /** Runs until the signal aborts. Begins with all rooms: configuration and rules may have changed. */
  async run(abort: AbortSignal): Promise<void> {
    const { rules, tenants } = this.#parts;
    await Promise.all([
      this.#askWhen("all", rules, abort, true),
      this.#askWhen("tenants", tenants, abort, false),
      this.#rounds(abort),
    ]);
  }

  /** Requests reviews whenever the signal fires, and with `atFirst` also at the start. */
  #askWhen(whose: "all" | "tenants", signal: Signal, abort: AbortSignal, atFirst: boolean): Promise<void> {
    const { store, clock } = this.#parts;
    let isDue = atFirst;
    return this.#work(abort, {
      round: async () => {
        if (isDue) {
          await store.askAll(whose, clock.now());
          this.#asked.notify();
          await clock.sleep(LOOK_MS, abort);
        }
        isDue = true;
        return null;
      },
      signals: [signal],
    });
  }

  #rounds(abort: AbortSignal): Promise<void> {
    const { store, committed, stepped, clock } = this.#parts;
    let pause = 0;
    return this.#work(abort, {
      round: async () => {
        const due = await store.due(clock.now(), BATCH);
        for (const ticket of due) await this.#review(ticket, abort);
        pause = due.length > 0 ? BREATH_MS : LOOK_MS;
        return restUntil(await store.nextDue(), clock);
      },
      signals: [committed, stepped, this.#asked],
      longest: LONGEST_SLEEP_MS,
      pause: () => pause,
    });
  }

  #work(abort: AbortSignal, work: Omit<Work, "failed" | "failedRest" | "clock">): Promise<void> {
    const { clock, log } = this.#parts;
    const failed = (error: unknown): void => log.error("reviewer.round-failed", { error });
    return workUntil(abort, { ...work, failed, failedRest: FIRST_PAUSE_MS, clock });
  }

  async #review(ticket: ReviewTicket, abort: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#parts;
    const { roomId } = ticket;
    const isOver = (): boolean => abort.aborted;
    if (isOver()) return;
    try {
      for (const lease of await store.classes(roomId)) {
        const verdict = await this.#verdict(ticket, lease);
        if (verdict !== null) await this.#end(lease, verdict, abort);
      }
      if (isOver()) return;
      await store.done(ticket, clock.now());
      this.#failures.delete(roomId);
    } catch (error) {
      const tries = (this.#failures.get(roomId) ?? 0) + 1;
      remember(this.#failures, roomId, tries, REMEMBERED);
      const wait = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries - 1, 10));
      log.warn("room.review-failed", { room: roomId, tries, retry_in_ms: wait, cause: sentenceOf(error) });
      await store.postpone(roomId, clock.now() + wait);
    }
  }

  /** Returns policy's refusal of leases of this class; null if there is none. */
  async #verdict({ roomId, isLoaded }: ReviewTicket, { holder, alias, upgrades }: Lease): Promise<Verdict | null> {
    try {
      const verdict = await this.#parts.policy.judge({ roomId, holder, via: [], alias, upgrades }, "hold");
      if (verdict.allowed || verdict.code === "not-visible") return null;
      return isLoaded || BLIND.has(verdict.code) ? verdict : null;
    } catch (error) {
      // It is judged once the room is loaded.
      if (!isLoaded && error instanceof EmissaryError) return null;
      throw error;
    }
  }

  async #end({ roomId, holder, alias }: Lease, { code, reason }: Verdict, abort: AbortSignal): Promise<void> {
    const { store, ended, refused, clock, log } = this.#parts;
    const whose = { kind: holder.kind, tenant: holder.kind === "tenant" ? holder.name : null, alias };
    const why = { code, reason, atOnce: LEFT_AT_ONCE.has(code) };
    let leases = 0;
    for (let some = LEASES_AT_ONCE; some === LEASES_AT_ONCE && !abort.aborted; leases += some) {
      if (leases > 0) await clock.sleep(BREATH_MS, abort);
      some = await store.refuse(roomId, whose, why, clock.now(), LEASES_AT_ONCE);
    }
    if (leases === 0) return;
    refused(code, holder.kind, leases);
    ended.notify();
    log.info("room.leases-refused", { room: roomId, holder: holder.kind, leases, code });
  }
}
