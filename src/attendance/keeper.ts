import type { RoomId } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import { ConcurrencyLimit, type Task } from "../concurrency/concurrency-limit.ts";
import { Signal } from "../concurrency/signal.ts";
import { Throttle } from "../concurrency/throttle.ts";
import { restUntil, workUntil } from "../concurrency/worker.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { Attendance } from "./attendance.ts";
import type { LeaseDesk } from "./leases/desk.ts";
import { LATELY_MS, lingerOf } from "./linger.ts";
import { untilPresent } from "./membership-waits.ts";
import { Mover, type DeclineOutcome, type KeeperOptions, type MoverParts } from "./mover.ts";
import { isOverRefused, plan } from "./plan.ts";

export type { KeeperOptions };

export interface KeeperParts extends Omit<MoverParts, "limit" | "rate" | "options" | "stopping"> {
  readonly desk: LeaseDesk;
  readonly recorder: Recorder;
  readonly options: KeeperOptions;
}

/** Longest sleep between two rounds: the clock may jump meanwhile. */
const LONGEST_SLEEP_MS = 10_000;
/** Shortest rest of a room whose step failed inside Emissary. */
const FAILED_STEP_MS = 1_000;
/** Pause before another look at a room that may be under creation. */
const BEING_MADE_MS = 1_000;

/**
 * Makes attendance follow the leases: joins rooms that have a lease, leaves rooms that have none. Nobody else moves.
 *
 * Pending work is in storage (a time in `nextAt`), not in memory. A change of leases or of our membership sets that
 * time in its own commit, so after a crash the next start finds all that was under way. In a round the keeper takes
 * the due rooms, asks `plan` for each one's step, and carries it out: one step per room, and a bounded number at once.
 * Callers wait for the pseudouser to be in the room with `untilPresent`; a thousand waiters cause one join.
 */
export class Keeper {
  /** Fires after every step: the situation of some room may have changed. */
  readonly stepped = new Signal();

  readonly #parts: KeeperParts;
  #options: KeeperOptions;
  readonly #rate: Throttle;
  readonly #limit: ConcurrencyLimit;
  readonly #mover: Mover;
  /** When each room creation under way began. */
  readonly #makings = new Map<symbol, number>();
  readonly #abort = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#options = parts.options;
    this.#rate = new Throttle(parts.options.joinsPerSecond, parts.clock);
    this.#limit = new ConcurrencyLimit(parts.clock, () => this.stepped.notify());
    this.#mover = new Mover({
      ...parts,
      limit: this.#limit,
      rate: this.#rate,
      options: () => this.#options,
      stopping: this.#abort.signal,
    });
  }

  async start(): Promise<void> {
    await this.#parts.store.recover(this.#parts.clock.now());
    const { clock, desk, recorder, log } = this.#parts;
    this.#loop = workUntil(this.#abort.signal, {
      round: () => this.#round(),
      signals: [desk.changed, recorder.ownChanged, this.stepped],
      longest: LONGEST_SLEEP_MS,
      failed: (error) => log.error("keeper.round-failed", { error }),
      clock,
    });
  }

  /** Uses other options from now on; a linger that has begun keeps its length. */
  setOptions(options: KeeperOptions): void {
    this.#options = options;
    this.#rate.setRate(options.joinsPerSecond);
    this.stepped.notify();
  }

  /** Takes on no new work, aborts calls to the homeserver, and ends when every step has written its state. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    await this.#limit.empty();
  }

  /**
   * Resolves once the pseudouser is in the lease's room.
   * @throws EmissaryError if the lease ended before that (refused, kicked, released …), or at the deadline `within`
   * milliseconds from now (STILL_JOINING if no try has failed by then). With `isOnce`, also after one failed try.
   */
  untilPresent(lease: Lease, within: number, abort: AbortSignal, isOnce = false): Promise<void> {
    const changes = [this.stepped, this.#parts.recorder.ownChanged];
    return untilPresent({ ...this.#parts, changes, stopping: this.#abort.signal }, lease, within, abort, isOnce);
  }

  /** Declines an invite of the pseudouser if no lease wants it there; `retry` if that failed for now. */
  decline(roomId: RoomId, reason: string): Promise<DeclineOutcome> {
    return this.#mover.decline(roomId, reason);
  }

  /**
   * Runs `work`, which creates a room. Meanwhile no room is left that the pseudouser did not join on purpose: the
   * homeserver puts it into the new room, and tells us so, before any lease can hold it.
   */
  async whileMaking<T>(work: () => Promise<T>): Promise<T> {
    const making = Symbol();
    this.#makings.set(making, this.#parts.clock.now());
    try {
      return await work();
    } finally {
      this.#makings.delete(making);
    }
  }

  /** Returns whether a room may be one under creation: we have not known it for longer. It may linger already. */
  #mayBeNew({ phase, since }: Attendance): boolean {
    return this.#makings.size > 0 && (phase === "absent" || since >= Math.min(...this.#makings.values()));
  }

  async #round(): Promise<number | null> {
    const { store, clock } = this.#parts;
    const free = this.#options.concurrency - this.#limit.counted;
    const rooms = free > 0 ? await store.due(clock.now(), free, this.#limit.rooms) : [];
    for (const roomId of rooms) this.#begin(roomId);
    return free > rooms.length ? restUntil(await store.nextDue(this.#limit.rooms), clock) : null;
  }

  #begin(roomId: RoomId): void {
    void this.#limit.run(roomId, async (task) => {
      try {
        await this.#step(roomId, task);
      } catch (error) {
        // Aborted by stop. The attendance has what was under way, and the next start goes on with it.
        if (this.#abort.signal.aborted) return;
        this.#parts.log.error("keeper.step-failed", { room: roomId, error });
        const failure = { code: "internal", reason: "the step failed inside Emissary, see its log", retryAfter: null };
        await this.#mover.scheduleRetry(roomId, failure).catch(() => undefined);
        // If even that could not be written, the room is still due. The pause prevents a busy loop.
        await this.#parts.clock.sleep(FAILED_STEP_MS, this.#abort.signal);
      }
    });
  }

  async #step(roomId: RoomId, task: Task): Promise<void> {
    const { store, clock, random } = this.#parts;
    const situation = await store.situation(roomId);
    const { attendance, ownMembership, leases } = situation;
    const now = clock.now();
    const isLeft = leases.length === 0 && ownMembership === "join";
    const linger = isLeft ? await this.#lingerIn(roomId, now) : this.#options.linger;
    const draw = random.fraction();
    const step = plan({ now, ownMembership, liveLeases: leases.length, attendance, linger, draw });
    switch (step.act) {
      case "join":
        return this.#mover.join(roomId, situation, task);
      case "leave":
        if (this.#mayBeNew(attendance)) {
          await store.save({ ...attendance, nextAt: now + BEING_MADE_MS }, situation.revision);
          return;
        }
        return this.#mover.leave(roomId, situation, task);
      case "rest": {
        const settled = step.phase === "present" || step.phase === "absent";
        const forgotten = isOverRefused(attendance, leases.length) ? {} : { code: null, reason: null };
        await store.save(
          {
            ...attendance,
            phase: step.phase,
            since: step.phase === attendance.phase ? attendance.since : now,
            nextAt: step.nextAt,
            leaveAt: step.leaveAt,
            ...(settled ? { tries: 0, retryAt: null, ...forgotten } : {}),
          },
          situation.revision,
        );
      }
    }
  }

  async #lingerIn(roomId: RoomId, now: number): Promise<number> {
    const { linger, maxRooms } = this.#options;
    const { store } = this.#parts;
    const [hours, rooms] = await Promise.all([store.visitedHours(roomId, now - LATELY_MS), store.attended()]);
    return lingerOf({ linger, hours, rooms, maxRooms });
  }
}
