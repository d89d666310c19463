import { withLimit, type Clock, type Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import type { HolderKind, Lease } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import type { Membership } from "../model/membership.ts";
import { backoff } from "../concurrency/backoff.ts";
import type { ConcurrencyLimit, Task } from "../concurrency/concurrency-limit.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import type { Throttle } from "../concurrency/throttle.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { Policy } from "../policy/policy.ts";
import { NO_SERVER, type RoomSituation } from "./attendance.ts";
import { joinedByInvite, type MoveAnswer, type MoveFailure, type PseudouserMoves } from "./homeserver/moves.ts";
import type { StandIns } from "./stand-ins.ts";
import type { AttendanceStore } from "./store/attendance.ts";

export interface KeeperOptions {
  /** How long we stay without leases, in milliseconds, up to half as long again; longer in popular rooms. */
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
  readonly moves: Pick<PseudouserMoves, "join" | "leave" | "ownMembership">;
  readonly store: AttendanceStore;
  readonly policy: Policy;
  readonly standIns: Pick<StandIns, "letIn">;
  readonly recorder: Pick<Recorder, "observe">;
  readonly limit: ConcurrencyLimit;
  readonly rate: Throttle;
  readonly options: () => KeeperOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called for every lease that policy ends by refusing the join. Counts them. */
  readonly refused: (code: string, holder: HolderKind) => void;
  readonly stopping: AbortSignal;
}

/** A failed try; `retryAfter` is the shortest pause in milliseconds, null to derive it from the number of tries. */
type Failure = Pick<MoveFailure, "code" | "reason"> & { readonly retryAfter: number | null };

/** The result of declining; `moot` if there is no invite, or if a lease wants us in the room. */
export type DeclineOutcome = MoveAnswer["outcome"] | "moot";

/** How long users of tenants may take to let us in. */
const LET_IN_MS = 120_000;
/** How long the homeserver may take to tell our membership. */
const CONFIRM_MS = 30_000;
/** Homeservers decline by themselves if the inviter's server does not answer, and they do so quickly. */
const DECLINE_MS = 60_000;
/** Pause before a move is repeated whose outcome neither the answer nor an event has shown. */
const UNCONFIRMED_MS = 10_000;
/** How often to repeat the write of a failed try when the room changed in between. The next round sees the room. */
const SAVE_ATTEMPTS = 5;

/** Carries out joins, leaves and declines, each within its time, and checks the result. */
export class Mover {
  readonly #parts: MoverParts;
  readonly #declining = new KeyedMutex();

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
    // A refusal answers the present leases only. A lease booked meanwhile may know a better route.
    const newest = Math.max(...leases.map((lease) => lease.id));
    const refusal = await refusalOfAll(policy, roomId, leases, via);
    if (refusal?.outcome === "refused") {
      for (const { holder } of leases) this.#parts.refused(refusal.code, holder.kind);
      return store.refuse(roomId, refusal.code, refusal.reason, clock.now(), newest);
    }
    if (refusal !== null) return this.scheduleRetry(roomId, { ...refusal, retryAfter: null });
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
    const join = () => this.#call((limit) => moves.join(roomId, way, limit), joinTimeout, task.givesUp, way.via);
    let answer = ownMembership === "invite" ? await joinedByInvite(join, clock, stopping) : await join();
    if (answer?.outcome === "refused") {
      const { standIns } = this.#parts;
      const letIn = await withLimit(clock, LET_IN_MS, stopping, (limit) => standIns.letIn(roomId, leases, limit));
      // The room's other servers learn of the invite a moment later, and Synapse joins through them for as long as it
      // holds the room's state only in part.
      if (letIn !== null) answer = letIn.outcome === "done" ? await joinedByInvite(join, clock, stopping) : letIn;
    }
    // An aborted wait says nothing about the room; the next start goes on with it.
    if (answer === null || (answer.outcome !== "done" && this.#isStopping)) return;
    if (answer.outcome === "refused" || (answer.outcome === "retry" && answer.code === NO_SERVER))
      policy.refused(roomId);
    if (answer.outcome === "refused") return store.refuse(roomId, answer.code, answer.reason, clock.now(), newest);
    if (answer.outcome === "retry") return this.scheduleRetry(roomId, answer);
    policy.joined(roomId);
    await store.noteDeed(roomId, "room.join", clock.now());
    log.info("room.joined", { room: roomId });
    if ((await this.#look(roomId)) !== "join") await this.#notShown(roomId, "join");
  }

  async leave(roomId: RoomId, { attendance, revision }: RoomSituation, task: Task): Promise<void> {
    const { store, moves, clock, log } = this.#parts;
    const now = clock.now();
    const nextAt = now + UNCONFIRMED_MS;
    if (!(await store.save({ ...attendance, phase: "leaving", since: now, nextAt }, revision))) return;
    await store.noteLeave(roomId);
    const { joinTimeout } = this.#parts.options();
    const answer = await this.#call((limit) => moves.leave(roomId, limit), joinTimeout, task.givesUp);
    if (answer === null) return;
    if (answer.outcome === "retry") return this.scheduleRetry(roomId, answer);
    if (answer.outcome === "done") {
      await store.noteDeed(roomId, "room.leave", now);
      log.info("room.left", { room: roomId });
    }
    // A refused leave commonly means that we are already out. Our membership according to the homeserver decides.
    if ((await this.#look(roomId)) !== "join" || this.#isStopping) return;
    if (answer.outcome === "refused") await this.scheduleRetry(roomId, { ...answer, retryAfter: UNCONFIRMED_MS });
    else await this.#notShown(roomId, "leave");
  }

  /** Schedules another try of a move whose result the homeserver does not show. */
  async #notShown(roomId: RoomId, moved: "join" | "leave"): Promise<void> {
    if (this.#isStopping) return;
    const reason = `the homeserver took the ${moved} and does not show it yet`;
    await this.scheduleRetry(roomId, { code: "unconfirmed", reason, retryAfter: UNCONFIRMED_MS });
  }

  /**
   * Declines an invite of the pseudouser if no lease wants it there; `retry` if that failed for now. It declines one
   * after the other, so that no number of invites delays a join.
   */
  decline(roomId: RoomId, reason: string): Promise<DeclineOutcome> {
    const { limit } = this.#parts;
    return this.#declining.run(null, async () => {
      await limit.free(roomId);
      return limit.run(roomId, ({ givesUp }) => this.#decline(roomId, reason, givesUp), true);
    });
  }

  async #decline(roomId: RoomId, reason: string, givesUp: AbortSignal): Promise<DeclineOutcome> {
    const { store, moves, rate, clock, log, stopping } = this.#parts;
    await rate.turn(stopping);
    const { ownMembership, leases } = await store.situation(roomId);
    if (this.#isStopping) return "retry";
    if (ownMembership !== "invite" || leases.length > 0) return "moot";
    const answer = await this.#call((limit) => moves.leave(roomId, limit, reason), DECLINE_MS, givesUp);
    if (answer === null) return "retry";
    if (answer.outcome === "done") {
      await store.noteDeed(roomId, "room.decline", clock.now());
      log.info("room.declined", { room: roomId });
    }
    // A refusal commonly means that the invite was taken back. Our membership according to the homeserver decides.
    if ((await this.#look(roomId)) !== "invite") return "done";
    return answer.outcome === "done" ? "retry" : answer.outcome;
  }

  /** Writes a failed try and when the next may be made; until then the room rests. */
  async scheduleRetry(roomId: RoomId, { code, reason, retryAfter }: Failure): Promise<void> {
    const { store, clock, random } = this.#parts;
    for (let attempt = 0; attempt < SAVE_ATTEMPTS; attempt += 1) {
      const { attendance, revision } = await store.situation(roomId);
      const tries = attendance.tries + 1;
      const now = clock.now();
      const retryAt = now + Math.max(retryAfter ?? 0, backoff(tries, random));
      if (await store.save({ ...attendance, tries, retryAt, nextAt: now, code, reason }, revision)) return;
    }
  }

  get #isStopping(): boolean {
    return this.#parts.stopping.aborted;
  }

  /** Makes one call to the homeserver within its time limit; null if Emissary is stopping. */
  async #call(
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

  /** Takes our membership from the homeserver into the ledger, before its event. Returns what the ledger holds then. */
  async #look(roomId: RoomId): Promise<Membership | null> {
    const { moves, recorder, store, clock, stopping } = this.#parts;
    await withLimit(clock, CONFIRM_MS, stopping, (limit) => recorder.observe(() => moves.ownMembership(roomId, limit)));
    return (await store.situation(roomId)).ownMembership;
  }
}

/**
 * Judges a join again just before it is made. The join goes ahead if policy allows it to the holder of any lease.
 * Returns null if so; else why not, or that policy could not decide now.
 */
export async function refusalOfAll(
  policy: Pick<Policy, "judge">,
  roomId: RoomId,
  leases: readonly Lease[],
  via: readonly ServerName[],
): Promise<MoveFailure | null> {
  let refusal: MoveFailure | null = null;
  const asked = new Set<string>();
  for (const { holder, alias, upgrades } of leases) {
    // Tenants differ in their permissions, holders of other kinds do not; rules match the aliases of a room.
    const who = `${holder.kind} ${holder.kind === "tenant" ? holder.name : ""} ${alias ?? ""}`;
    if (asked.has(who)) continue;
    asked.add(who);
    try {
      const verdict = await policy.judge({ roomId, holder, via, alias, upgrades }, "join");
      if (verdict.allowed) return null;
      refusal ??= { outcome: "refused", code: verdict.code, reason: verdict.reason };
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      // An open answer outweighs a refusal: the holder who was not judged may be allowed.
      refusal = { outcome: "retry", code: error.code, reason: error.message, retryAfter: error.retryAfter };
    }
  }
  return refusal;
}
