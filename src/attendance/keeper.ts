import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomId } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { Signal } from "../model/signal.ts";
import type { RoomLoads } from "../ledger/ledger.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { LeaseDesk } from "../leases/desk.ts";
import type { Policy } from "../policy/policy.ts";
import { backoff } from "./backoff.ts";
import type { AttendanceStore, MoveAnswer, PseudouserMoves, RoomSituation } from "./contracts.ts";
import { Pace } from "./pace.ts";
import { plan } from "./plan.ts";

export interface KeeperOptions {
  /** How long we stay in a room that no lease holds any more, milliseconds. */
  readonly linger: number;
  /** Joins and leaves under way at once. */
  readonly concurrency: number;
  readonly joinsPerSecond: number;
  /** How long one join or leave may take before it counts as failed, milliseconds. */
  readonly joinTimeout: number;
}

export interface KeeperParts {
  readonly store: AttendanceStore;
  readonly loads: RoomLoads;
  readonly moves: PseudouserMoves;
  readonly policy: Policy;
  readonly desk: LeaseDesk;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly options: KeeperOptions;
}

/** The longest sleep without looking: the clock may jump while we sleep. */
const LONGEST_SLEEP_MS = 10_000;
/** If neither the answer nor an event has told the outcome of a move, it is made again after this; both moves may be repeated. */
const UNCONFIRMED_MS = 10_000;

/**
 * Makes attendance follow the leases: joins rooms that have one, leaves rooms that have none. The only caller of join and leave.
 *
 * What is to be done is written in storage (a time in `nextAt`), not held in memory: a change of leases or of our membership
 * sets that time in its own commit, so after a crash the next start finds all that was under way. In a round the keeper takes
 * the rooms whose time has come, asks `plan` for the step, and carries it out, one step a room and a bounded number at once.
 * Whoever wants presence waits on it (`untilPresent`); a thousand waiters of one room cause one join.
 */
export class Keeper {
  /** Fires whenever a step was carried out: the situation of some room may have changed. */
  readonly stepped = new Signal();

  readonly #parts: KeeperParts;
  readonly #pace: Pace;
  readonly #running = new Map<RoomId, Promise<void>>();
  readonly #abort = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#pace = new Pace(parts.options.joinsPerSecond, parts.clock);
  }

  async start(): Promise<void> {
    await this.#parts.store.recover(this.#parts.clock.now());
    this.#loop = this.#run();
  }

  /** Takes on nothing new, breaks off what waits on the homeserver and ends when all steps have written how they stand. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  /**
   * Resolves once the pseudouser is in the lease's room.
   * @throws EmissaryError when the lease ended without that (refused, kicked, released …), or at the deadline `within` milliseconds from now.
   */
  async untilPresent(lease: Lease, within: number, abort: AbortSignal): Promise<void> {
    const deadline = AbortSignal.timeout(within);
    const over = AbortSignal.any([deadline, abort, this.#abort.signal]);
    for (;;) {
      const changed = Promise.race([this.stepped.next(over), this.#parts.recorder.ownChanged.next(over)]);
      const progress = await this.#parts.store.progress(lease.id);
      if (progress.present && progress.ended === null) return;
      if (progress.ended !== null) {
        throw new EmissaryError(
          "refused-by-homeserver",
          `The pseudouser is not in ${lease.roomId}: ${progress.reason ?? progress.ended}.`,
          { reason: progress.code ?? progress.ended },
        );
      }
      if (over.aborted) {
        throw new EmissaryError(
          "timeout",
          `The pseudouser is not yet in ${lease.roomId}; it goes on trying${progress.reason === null ? "" : ` (${progress.reason})`}. Ask again.`,
        );
      }
      await changed;
    }
  }

  async #run(): Promise<void> {
    const { store, clock, desk, recorder, options, log } = this.#parts;
    const abort = this.#abort.signal;
    while (!abort.aborted) {
      const stirred = new AbortController();
      const over = AbortSignal.any([abort, stirred.signal]);
      const changed = Promise.race([desk.changed.next(over), recorder.ownChanged.next(over), this.stepped.next(over)]);
      try {
        const busy = new Set(this.#running.keys());
        const free = options.concurrency - busy.size;
        const rooms = free > 0 ? await store.due(clock.now(), free, busy) : [];
        for (const roomId of rooms) this.#begin(roomId);
        const next = free > rooms.length ? await store.nextDue(new Set(this.#running.keys())) : null;
        const wait = next === null ? LONGEST_SLEEP_MS : Math.min(LONGEST_SLEEP_MS, next - clock.now());
        if (wait > 0) await Promise.race([changed, clock.sleep(wait, over)]);
      } catch (error) {
        log.error("keeper.round-failed", { error });
        await clock.sleep(1_000, abort);
      }
      stirred.abort();
    }
  }

  #begin(roomId: RoomId): void {
    const step = this.#step(roomId)
      .catch(async (error: unknown) => {
        // Broken off by stop: what was under way is written in the attendance, and the next start goes on with it.
        if (this.#abort.signal.aborted) return;
        this.#parts.log.error("keeper.step-failed", { error });
        await this.#putOff(roomId, "internal", "the step failed inside Emissary, see its log", null).catch(
          () => undefined,
        );
      })
      .finally(() => {
        this.#running.delete(roomId);
        this.stepped.notify();
      });
    this.#running.set(roomId, step);
  }

  async #step(roomId: RoomId): Promise<void> {
    const { store, clock, options } = this.#parts;
    const situation = await store.situation(roomId);
    const { attendance, ownMembership, leases } = situation;
    const now = clock.now();
    const step = plan({ now, ownMembership, liveLeases: leases.length, attendance, linger: options.linger });
    switch (step.act) {
      case "join":
        return this.#join(roomId, situation);
      case "leave":
        return this.#leave(roomId, situation);
      case "rest": {
        const settled = step.phase === "present" || step.phase === "absent";
        return store.save({
          ...attendance,
          phase: step.phase,
          since: step.phase === attendance.phase ? attendance.since : now,
          nextAt: step.nextAt,
          idleSince: step.idleSince,
          ...(settled ? { tries: 0, retryAt: null, code: null, reason: null } : {}),
        });
      }
    }
  }

  async #join(roomId: RoomId, { attendance, leases, via }: RoomSituation): Promise<void> {
    const { store, moves, policy, loads, clock, log } = this.#parts;
    const objection = await this.#objectionOfAll(roomId, leases, via, policy);
    if (objection !== null) {
      if (objection.outcome === "refused") return store.refuse(roomId, objection.code, objection.reason, clock.now());
      return this.#putOff(roomId, objection.code, objection.reason, null);
    }
    const earlier = attendance.tries > 0 ? {} : { code: null, reason: null };
    const now = clock.now();
    await store.save({ ...attendance, ...earlier, phase: "joining", since: now, nextAt: now + UNCONFIRMED_MS });
    await this.#pace.turn(this.#abort.signal);
    const answer = await moves.join(roomId, via, this.#limit());
    if (answer.outcome !== "done") return this.#failed(roomId, answer);
    await store.noteMove(roomId, "room.join", clock.now());
    await loads.want(roomId, clock.now());
    log.info("room.joined", {});
    await this.#confirm(roomId);
  }

  async #leave(roomId: RoomId, { attendance }: RoomSituation): Promise<void> {
    const { store, moves, clock, log } = this.#parts;
    await store.save({ ...attendance, phase: "leaving", since: clock.now(), nextAt: clock.now() + UNCONFIRMED_MS });
    const answer = await moves.leave(roomId, this.#limit());
    if (answer.outcome === "retry") return this.#failed(roomId, answer);
    // A refused leave means that we are not in the room, or may not know it: what the homeserver says of our membership decides.
    if (answer.outcome === "done") await store.noteMove(roomId, "room.leave", clock.now());
    log.info("room.left", {});
    await this.#confirm(roomId);
  }

  /**
   * Takes our own membership from the homeserver into the ledger, instead of waiting for the transaction that brings it too.
   * Where the homeserver gives no answer, the transaction tells, or the move is made again.
   */
  async #confirm(roomId: RoomId): Promise<void> {
    const event = await this.#parts.moves.ownMembership(roomId, this.#limit());
    if (event !== null) await this.#parts.recorder.observe(event);
  }

  async #failed(roomId: RoomId, answer: Exclude<MoveAnswer, { outcome: "done" }>): Promise<void> {
    if (answer.outcome === "refused") {
      return this.#parts.store.refuse(roomId, answer.code, answer.reason, this.#parts.clock.now());
    }
    return this.#putOff(roomId, answer.code, answer.reason, answer.retryAfter);
  }

  async #putOff(roomId: RoomId, code: string, reason: string, retryAfter: number | null): Promise<void> {
    const { store, clock, random } = this.#parts;
    const { attendance } = await store.situation(roomId);
    const tries = attendance.tries + 1;
    const retryAt = clock.now() + Math.max(retryAfter ?? 0, backoff(tries, random));
    await store.save({ ...attendance, tries, retryAt, nextAt: retryAt, code, reason });
  }

  /** Policy's objection where it has one to every lease of the room; a look that failed is worth another try. */
  async #objectionOfAll(
    roomId: RoomId,
    leases: RoomSituation["leases"],
    via: RoomSituation["via"],
    policy: Policy,
  ): Promise<Exclude<MoveAnswer, { outcome: "done" }> | null> {
    let objection: Exclude<MoveAnswer, { outcome: "done" }> | null = null;
    const asked = new Set<string>();
    for (const { holder } of leases) {
      if (asked.has(holder.kind)) continue;
      asked.add(holder.kind);
      try {
        const verdict = await policy.judge(roomId, holder, via);
        if (verdict.allowed) return null;
        objection = { outcome: "refused", code: verdict.code, reason: verdict.reason };
      } catch (error) {
        if (!(error instanceof EmissaryError)) throw error;
        objection = { outcome: "retry", code: error.code, reason: error.message, retryAfter: error.retryAfter };
      }
    }
    return objection;
  }

  #limit(): AbortSignal {
    return AbortSignal.any([this.#abort.signal, AbortSignal.timeout(this.#parts.options.joinTimeout)]);
  }
}
