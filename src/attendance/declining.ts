import type { Clock } from "../model/clock.ts";
import type { RoomId } from "../model/ids.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import type { Logger } from "../model/logger.ts";
import type { AttendanceStore, MoveAnswer, PseudouserMoves } from "./contracts.ts";
import type { Mover } from "./mover.ts";
import type { Throttle } from "../concurrency/throttle.ts";
import type { ConcurrencyLimit } from "../concurrency/concurrency-limit.ts";

export interface DecliningParts {
  readonly store: Pick<AttendanceStore, "situation" | "noteDeed">;
  readonly moves: Pick<PseudouserMoves, "leave">;
  readonly mover: Mover;
  readonly limit: ConcurrencyLimit;
  readonly rate: Throttle;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stopping: AbortSignal;
}

/** The result of declining; `moot` if there is no invite, or if a lease wants us in the room. */
export type DeclineOutcome = MoveAnswer["outcome"] | "moot";

/** Homeservers decline by themselves if the inviter's server does not answer, and they do so quickly. */
const DECLINE_MS = 60_000;

/** Declines invites of the pseudouser, one after the other, so that no number of them delays a join. */
export class Declining {
  readonly #parts: DecliningParts;
  readonly #mutex = new KeyedMutex();

  constructor(parts: DecliningParts) {
    this.#parts = parts;
  }

  decline(roomId: RoomId, reason: string): Promise<DeclineOutcome> {
    return this.#mutex.run(null, async () => {
      await this.#parts.limit.free(roomId);
      return this.#parts.limit.run(roomId, ({ givesUp }) => this.#decline(roomId, reason, givesUp), true);
    });
  }

  async #decline(roomId: RoomId, reason: string, givesUp: AbortSignal): Promise<DeclineOutcome> {
    const { store, moves, mover, rate, clock, log, stopping } = this.#parts;
    await rate.turn(stopping);
    const { ownMembership, leases } = await store.situation(roomId);
    if (stopping.aborted) return "retry";
    if (ownMembership !== "invite" || leases.length > 0) return "moot";
    const answer = await mover.call((limit) => moves.leave(roomId, limit, reason), DECLINE_MS, givesUp);
    if (answer === null) return "retry";
    if (answer.outcome === "done") {
      await store.noteDeed(roomId, "room.decline", clock.now());
      log.info("room.declined", { room: roomId });
    }
    const isShown = (await mover.look(roomId)) !== "invite";
    // A refusal commonly means that the invite was taken back. Our membership according to the homeserver decides.
    return isShown ? "done" : answer.outcome === "done" ? "retry" : answer.outcome;
  }
}
