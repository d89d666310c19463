import { limitOf, type Clock, type Random } from "../model/clock.ts";
import { clauseOf, EmissaryError } from "../model/errors.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { Signal } from "../model/signal.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { LeaseDesk } from "../leases/desk.ts";
import type { Shortage } from "../policy/budgets.ts";
import type { BudgetKind } from "../policy/payers.ts";
import type { Policy } from "../policy/policy.ts";
import { backoff } from "./backoff.ts";
import type {
  AttendanceStore,
  LeaseProgress,
  MoveAnswer,
  MoveFailure,
  PseudouserMoves,
  RoomSituation,
} from "./contracts.ts";
import { objectionToAll } from "./objection.ts";
import { Pace } from "./pace.ts";
import { plan } from "./plan.ts";

export interface KeeperOptions {
  /** How long we stay in a room that no lease holds any more, milliseconds, and up to half as long again. */
  readonly linger: number;
  /** Joins and leaves under way at once. */
  readonly concurrency: number;
  readonly joinsPerSecond: number;
  /** How long one join or leave may take before it counts as failed, milliseconds. */
  readonly joinTimeout: number;
  /** What a join tells everybody in the room; null for nothing. */
  readonly joinReason: string | null;
}

export interface KeeperParts {
  readonly store: AttendanceStore;
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
/** How often a failed try is noted anew because something happened in between; after that the next round sees the room anyway. */
const SAVE_ATTEMPTS = 5;
/** A room whose step failed inside Emissary rests this long at least. */
const FAILED_STEP_MS = 1_000;
/** A room that may be one being made is looked at again after this. */
const BEING_MADE_MS = 1_000;
const BUDGET_USED_UP =
  "the room's leases came with an upgrade, and the budget for joins is used up (policy.joins_per_server)";
/** How long the homeserver may take to tell our membership. */
const CONFIRM_MS = 30_000;

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
  #options: KeeperOptions;
  readonly #pace: Pace;
  readonly #running = new Map<RoomId, Promise<void>>();
  #beingMade = 0;
  readonly #abort = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#options = parts.options;
    this.#pace = new Pace(parts.options.joinsPerSecond, parts.clock);
  }

  async start(): Promise<void> {
    await this.#parts.store.recover(this.#parts.clock.now());
    this.#loop = this.#run();
  }

  /** Goes by other options from now on; a linger that has begun keeps its length. */
  setOptions(options: KeeperOptions): void {
    this.#options = options;
    this.#pace.setRate(options.joinsPerSecond);
    this.stepped.notify();
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
    const limit = limitOf(this.#parts.clock, within, AbortSignal.any([abort, this.#abort.signal]));
    try {
      while (!(await this.#isPresent(lease, limit.signal)));
    } finally {
      limit.free();
    }
  }

  /** Looks, and where the answer is "not yet" waits for the next change. */
  async #isPresent(lease: Lease, limit: AbortSignal): Promise<boolean> {
    const turn = new AbortController();
    const over = AbortSignal.any([limit, turn.signal]);
    const changed = Promise.race([this.stepped.next(over), this.#parts.recorder.ownChanged.next(over)]);
    try {
      const progress = await this.#parts.store.progress(lease.id);
      if (progress.ended !== null) throw absent(lease, progress);
      if (progress.present) return true;
      if (this.#abort.signal.aborted) throw new EmissaryError("not-ready", "Emissary is stopping; ask again soon.");
      if (limit.aborted) throw stillJoining(lease, progress);
      await changed;
      return false;
    } finally {
      turn.abort();
    }
  }

  /**
   * While `work` makes a room, no room is left that we were never in on purpose: the homeserver puts us into the new one, and tells
   * us so, before anybody can hold it.
   */
  async whileMaking<T>(work: () => Promise<T>): Promise<T> {
    this.#beingMade += 1;
    try {
      return await work();
    } finally {
      this.#beingMade -= 1;
    }
  }

  async #run(): Promise<void> {
    const { store, clock, desk, recorder, log } = this.#parts;
    const abort = this.#abort.signal;
    while (!abort.aborted) {
      const stirred = new AbortController();
      const over = AbortSignal.any([abort, stirred.signal]);
      const changed = Promise.race([desk.changed.next(over), recorder.ownChanged.next(over), this.stepped.next(over)]);
      try {
        const busy = new Set(this.#running.keys());
        const free = this.#options.concurrency - busy.size;
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
        this.#parts.log.error("keeper.step-failed", { room: roomId, error });
        await this.#putOff(roomId, "internal", "the step failed inside Emissary, see its log", null).catch(
          () => undefined,
        );
        // Where not even that could be written the room is still due; it is not to be tried in circles.
        await this.#parts.clock.sleep(FAILED_STEP_MS, this.#abort.signal);
      })
      .finally(() => {
        this.#running.delete(roomId);
        this.stepped.notify();
      });
    this.#running.set(roomId, step);
  }

  async #step(roomId: RoomId): Promise<void> {
    const { store, clock, random } = this.#parts;
    const situation = await store.situation(roomId);
    const { attendance, ownMembership, leases } = situation;
    const now = clock.now();
    const { linger } = this.#options;
    const draw = random.fraction();
    const step = plan({ now, ownMembership, liveLeases: leases.length, attendance, linger, draw });
    switch (step.act) {
      case "join":
        return this.#join(roomId, situation);
      case "leave":
        if (this.#beingMade > 0 && attendance.phase === "absent") {
          await store.save({ ...attendance, nextAt: now + BEING_MADE_MS }, situation.stirs);
          return;
        }
        return this.#leave(roomId, situation);
      case "rest": {
        const settled = step.phase === "present" || step.phase === "absent";
        await store.save(
          {
            ...attendance,
            phase: step.phase,
            since: step.phase === attendance.phase ? attendance.since : now,
            nextAt: step.nextAt,
            leaveAt: step.leaveAt,
            ...(settled ? { tries: 0, retryAt: null, code: null, reason: null } : {}),
          },
          situation.stirs,
        );
      }
    }
  }

  async #join(roomId: RoomId, { attendance, stirs, leases, via }: RoomSituation): Promise<void> {
    const { store, moves, policy, clock, log } = this.#parts;
    // A refusal is an answer to the leases there are now: one that comes meanwhile may know a better route, and gets its own try.
    const newest = Math.max(...leases.map((lease) => lease.id));
    const objection = await objectionToAll(policy, roomId, leases, via);
    if (objection !== null) {
      if (objection.outcome === "refused")
        return store.refuse(roomId, objection.code, objection.reason, clock.now(), newest);
      return this.#putOff(roomId, objection.code, objection.reason, null);
    }
    const shortage = attendance.phase === "joining" ? null : await this.#charge(leases, via);
    if (shortage !== null)
      return this.#putOff(roomId, `budget-${shortage.payer.kind}`, BUDGET_USED_UP, shortage.retryAfter);
    const earlier = attendance.tries > 0 ? {} : { code: null, reason: null };
    const now = clock.now();
    const nextAt = now + UNCONFIRMED_MS;
    if (!(await store.save({ ...attendance, ...earlier, phase: "joining", since: now, nextAt }, stirs))) return;
    await this.#pace.turn(this.#abort.signal);
    if (this.#abort.signal.aborted) return;
    const answer = await this.#move((limit) => moves.join(roomId, { via, reason: this.#options.joinReason }, limit));
    if (answer === null) return;
    if (answer.outcome === "refused") return store.refuse(roomId, answer.code, answer.reason, clock.now(), newest);
    if (answer.outcome === "retry") return this.#putOff(roomId, answer.code, answer.reason, answer.retryAfter);
    await store.noteDeed(roomId, "room.join", clock.now());
    log.info("room.joined", { room: roomId });
    await this.#confirm(roomId, "join");
  }

  /** Leases that were taken at the desk are paid for there; where all of them came with an upgrade, the join is paid for here. */
  async #charge(leases: readonly Lease[], via: readonly ServerName[]): Promise<Shortage<BudgetKind> | null> {
    const [lease] = leases;
    if (lease === undefined || leases.some(({ upgrades }) => upgrades === 0)) return null;
    return this.#parts.policy.charge({ ...lease, via });
  }

  async #leave(roomId: RoomId, { attendance, stirs }: RoomSituation): Promise<void> {
    const { store, moves, clock, log } = this.#parts;
    const now = clock.now();
    const nextAt = now + UNCONFIRMED_MS;
    if (!(await store.save({ ...attendance, phase: "leaving", since: now, nextAt }, stirs))) return;
    const answer = await this.#move((limit) => moves.leave(roomId, limit));
    if (answer === null) return;
    if (answer.outcome === "retry") return this.#putOff(roomId, answer.code, answer.reason, answer.retryAfter);
    if (answer.outcome === "done") {
      await store.noteDeed(roomId, "room.leave", now);
      log.info("room.left", { room: roomId });
    }
    // A refused leave commonly means that we are out already; what the homeserver says of our membership decides.
    await this.#confirm(roomId, "leave", answer.outcome === "refused" ? answer : null);
  }

  /** One call to the homeserver within the time that is allowed for it; null where we are being stopped. */
  async #move(call: (limit: AbortSignal) => Promise<MoveAnswer>): Promise<MoveAnswer | null> {
    const { clock } = this.#parts;
    const { joinTimeout } = this.#options;
    const limit = limitOf(clock, joinTimeout, this.#abort.signal);
    const answer = await call(limit.signal);
    limit.free();
    if (this.#abort.signal.aborted && answer.outcome === "retry") return null;
    if (answer.outcome !== "retry" || !limit.signal.aborted) return answer;
    const reason = `no answer within ${joinTimeout / 1000} s (attendance.join_timeout)`;
    return { outcome: "retry", code: "timeout", reason, retryAfter: null };
  }

  /**
   * Takes our own membership from the homeserver into the ledger, instead of waiting for the transaction that brings it too.
   * Where that does not show the move, it is made again after a while.
   */
  async #confirm(roomId: RoomId, moved: "join" | "leave", refusal: MoveFailure | null = null): Promise<void> {
    const { moves, recorder, store, clock } = this.#parts;
    const limit = limitOf(clock, CONFIRM_MS, this.#abort.signal);
    await recorder.observe(() => moves.ownMembership(roomId, limit.signal));
    limit.free();
    const { ownMembership } = await store.situation(roomId);
    if ((ownMembership === "join") === (moved === "join") || this.#abort.signal.aborted) return;
    const reason = refusal?.reason ?? `the homeserver took the ${moved} and does not show it yet`;
    await this.#putOff(roomId, refusal?.code ?? "unconfirmed", reason, UNCONFIRMED_MS);
  }

  /** Notes a failed try and when the next may be made; the plan of the next round rests until then. */
  async #putOff(roomId: RoomId, code: string, reason: string, retryAfter: number | null): Promise<void> {
    const { store, clock, random } = this.#parts;
    for (let attempt = 0; attempt < SAVE_ATTEMPTS; attempt += 1) {
      const { attendance, stirs } = await store.situation(roomId);
      const tries = attendance.tries + 1;
      const now = clock.now();
      const retryAt = now + Math.max(retryAfter ?? 0, backoff(tries, random));
      if (await store.save({ ...attendance, tries, retryAt, nextAt: now, code, reason }, stirs)) return;
    }
  }
}

function absent({ roomId }: Lease, { ended, code, reason }: LeaseProgress): EmissaryError {
  const why = ended === "refused" ? code : ended;
  const sentence = `The pseudouser is not in ${roomId}: ${clauseOf(reason ?? ended ?? "absent")}.`;
  return new EmissaryError("refused-by-homeserver", sentence, { reason: why ?? "absent" });
}

function stillJoining({ roomId }: Lease, { reason }: LeaseProgress): EmissaryError {
  const last = reason === null ? "" : ` The newest try: ${clauseOf(reason)}.`;
  return new EmissaryError("timeout", `The pseudouser is not yet in ${roomId}; joining goes on.${last} Ask again.`);
}
