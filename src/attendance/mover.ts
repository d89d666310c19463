import { withLimit, type Clock, type Random } from "../model/clock.ts";
import { joinedByInvite } from "./early-joins.ts";
import { NO_SERVER } from "./attendance.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import type { HolderKind } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import type { Membership } from "../model/membership.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { Policy } from "../policy/policy.ts";
import type { AttendanceStore, MoveAnswer, PseudouserMoves, RoomSituation } from "./contracts.ts";
import { objectionToAll } from "./stand-in-checks.ts";
import type { Throttle } from "../concurrency/throttle.ts";
import { scheduleRetry, type Failure } from "./schedule-retry.ts";
import type { Task } from "../concurrency/concurrency-limit.ts";
import type { StandIns } from "./stand-ins.ts";

export interface KeeperOptions {
  /**
   * How long we stay in a room without leases, in milliseconds, and up to half as long again. Longer in rooms with
   * many visits (linger.ts).
   */
  readonly linger: number;
  /** Most rooms in all. */
  readonly maxRooms: number;
  /** Joins and leaves under way at once. */
  readonly concurrency: number;
  readonly joinsPerSecond: number;
  /** How long a join or leave may take before it counts as failed, in milliseconds. */
  readonly joinTimeout: number;
  /** The reason of a join, which everybody in the room sees; null for none. */
  readonly joinReason: string | null;
}

export interface MoverParts {
  readonly moves: PseudouserMoves;
  readonly store: AttendanceStore;
  readonly policy: Policy;
  readonly standIns: Pick<StandIns, "letIn">;
  readonly recorder: Pick<Recorder, "observe">;
  readonly rate: Throttle;
  readonly options: () => KeeperOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called for every lease that policy ends by refusing the join. */
  readonly refused: (code: string, holder: HolderKind) => void;
  readonly stopping: AbortSignal;
}

/** How long users of tenants may take to let us in. */
const LET_IN_MS = 120_000;
/** How long the homeserver may take to tell our membership. */
const CONFIRM_MS = 30_000;
/**
 * Pause before a move is repeated whose outcome neither the answer nor an event has shown. Both moves may be repeated.
 */
const UNCONFIRMED_MS = 10_000;

/** Carries out joins and leaves, each within its time, and checks the result. */
export class Mover {
  readonly #parts: MoverParts;

  constructor(parts: MoverParts) {
    this.#parts = parts;
  }

  /** Joins a room for its leases, if policy still allows it. */
  async join(
    roomId: RoomId,
    { attendance, revision, ownMembership, leases, via }: RoomSituation,
    task: Task,
  ): Promise<void> {
    const { store, moves, policy, clock, log, rate, stopping } = this.#parts;
    task.server = via[0] ?? "";
    if (attendance.code === "timeout") task.slowDown();
    // A refusal answers the present leases only. A lease booked meanwhile may know a better route, and gets its own
    // try.
    const newest = Math.max(...leases.map((lease) => lease.id));
    const objection = await objectionToAll(policy, roomId, leases, via);
    if (objection?.outcome === "refused") {
      for (const { holder } of leases) this.#parts.refused(objection.code, holder.kind);
      return store.refuse(roomId, objection.code, objection.reason, clock.now(), newest);
    }
    if (objection !== null) return this.#scheduleRetry(roomId, { ...objection, retryAfter: null });
    const earlier = attendance.tries > 0 ? {} : { code: null, reason: null };
    const now = clock.now();
    const nextAt = now + UNCONFIRMED_MS;
    if (!(await store.save({ ...attendance, ...earlier, phase: "joining", since: now, nextAt }, revision))) return;
    task.rests();
    await rate.turn(stopping);
    if (stopping.aborted) return;
    task.waits();
    const { joinReason: reason, joinTimeout } = this.#parts.options();
    const way = { via: await policy.inputs.routes(roomId, via), reason };
    task.server = way.via[0] ?? "";
    const isStopping = (): boolean => stopping.aborted;
    const join = () => this.call((limit) => moves.join(roomId, way, limit), joinTimeout, task.givesUp, way.via);
    let answer = ownMembership === "invite" ? await joinedByInvite(join, clock, stopping) : await join();
    if (answer?.outcome === "refused") {
      const { standIns } = this.#parts;
      const letIn = await withLimit(clock, LET_IN_MS, stopping, (limit) => standIns.letIn(roomId, leases, limit));
      // The room's other servers learn of the invite a moment later, and Synapse joins through them for as long as it
      // holds the room's state only in part.
      if (letIn !== null) answer = letIn.outcome === "done" ? await joinedByInvite(join, clock, stopping) : letIn;
    }
    // An aborted wait says nothing about the room; the next start goes on with it.
    if (answer === null || (answer.outcome !== "done" && isStopping())) return;
    if (answer.outcome === "refused" || (answer.outcome === "retry" && answer.code === NO_SERVER))
      policy.refused(roomId);
    if (answer.outcome === "refused") return store.refuse(roomId, answer.code, answer.reason, clock.now(), newest);
    if (answer.outcome === "retry") return this.#scheduleRetry(roomId, answer);
    policy.joined(roomId);
    await store.noteDeed(roomId, "room.join", clock.now());
    log.info("room.joined", { room: roomId });
    if ((await this.look(roomId)) !== "join") await this.#notShown(roomId, "join");
  }

  async leave(roomId: RoomId, { attendance, revision }: RoomSituation, task: Task): Promise<void> {
    const { store, moves, clock, log } = this.#parts;
    const now = clock.now();
    const nextAt = now + UNCONFIRMED_MS;
    if (!(await store.save({ ...attendance, phase: "leaving", since: now, nextAt }, revision))) return;
    await store.noteLeave(roomId);
    const { joinTimeout } = this.#parts.options();
    const answer = await this.call((limit) => moves.leave(roomId, limit), joinTimeout, task.givesUp);
    if (answer === null) return;
    if (answer.outcome === "retry") return this.#scheduleRetry(roomId, answer);
    if (answer.outcome === "done") {
      await store.noteDeed(roomId, "room.leave", now);
      log.info("room.left", { room: roomId });
    }
    // A refused leave commonly means that we are already out. Our membership according to the homeserver decides.
    if ((await this.look(roomId)) !== "join" || this.#parts.stopping.aborted) return;
    if (answer.outcome === "refused") await this.#scheduleRetry(roomId, { ...answer, retryAfter: UNCONFIRMED_MS });
    else await this.#notShown(roomId, "leave");
  }

  /** Schedules another try of a move whose result the homeserver does not show. */
  async #notShown(roomId: RoomId, moved: "join" | "leave"): Promise<void> {
    if (this.#parts.stopping.aborted) return;
    const reason = `the homeserver took the ${moved} and does not show it yet`;
    await this.#scheduleRetry(roomId, { code: "unconfirmed", reason, retryAfter: UNCONFIRMED_MS });
  }

  /** Makes one call to the homeserver within its time limit; null if Emissary is stopping. */
  async call(
    work: (limit: AbortSignal) => Promise<MoveAnswer>,
    within: number,
    givesUp: AbortSignal,
    via: readonly ServerName[] = [],
  ): Promise<MoveAnswer | null> {
    const { clock, stopping } = this.#parts;
    const { answer, isLate } = await withLimit(clock, within, stopping, async (limit) => ({
      answer: await work(AbortSignal.any([limit, givesUp])),
      isLate: limit.aborted,
    }));
    if (stopping.aborted && answer.outcome === "retry") return null;
    if (answer.outcome !== "retry") return answer;
    const through = via.length === 0 ? "" : ` through ${via.join(", ")}`;
    const reason = isLate
      ? `no answer${through} within ${within / 1000} s (attendance.join_timeout)`
      : givesUp.aborted
        ? "no answer yet, while too many others wait for one, too"
        : null;
    return reason === null ? answer : { outcome: "retry", code: "timeout", reason, retryAfter: null };
  }

  /**
   * Takes our own membership from the homeserver into the ledger, without waiting for the transaction that also brings
   * it. Returns what the ledger holds then.
   */
  async look(roomId: RoomId): Promise<Membership | null> {
    const { moves, recorder, store, clock, stopping } = this.#parts;
    await withLimit(clock, CONFIRM_MS, stopping, (limit) => recorder.observe(() => moves.ownMembership(roomId, limit)));
    return (await store.situation(roomId)).ownMembership;
  }

  #scheduleRetry(roomId: RoomId, failure: Failure): Promise<void> {
    return scheduleRetry(this.#parts, roomId, failure);
  }
}
