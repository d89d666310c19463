import { withLimit, type Clock } from "../model/clock.ts";
import { NO_SERVER } from "./attendance.ts";
import { clauseOf, EmissaryError } from "../model/errors.ts";
import type { Lease } from "../model/lease.ts";
import type { Signal } from "../concurrency/signal.ts";
import type { AttendanceStore, LeaseProgress } from "./contracts.ts";

/** Reason of a wait that ended while the first try was still under way. */
export const STILL_JOINING = "still-joining";

export interface PresenceParts {
  readonly store: Pick<AttendanceStore, "progress">;
  /** Each fires when the situation of some room may have changed. */
  readonly changes: readonly Signal[];
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

/** Waits until the pseudouser is in a lease's room. A thousand waiters cost no more than a look at each change. */
export class Presence {
  readonly #parts: PresenceParts;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once the pseudouser is in the lease's room.
   * @throws EmissaryError if the lease ended before that (refused, kicked, released …), or at the deadline `within`
   * milliseconds from now. If no try has failed by then, its reason is STILL_JOINING. With `isOnce`, also when a try
   * failed at the room's servers.
   */
  async until(lease: Lease, within: number, abort: AbortSignal, isOnce = false): Promise<void> {
    const { clock, stopping } = this.#parts;
    await withLimit(clock, within, AbortSignal.any([abort, stopping]), async (limit) => {
      while (!(await this.#isPresent(lease, limit, isOnce)));
    });
  }

  /** Reads the lease's progress. If it is not there yet, waits for the next change. */
  async #isPresent(lease: Lease, limit: AbortSignal, isOnce: boolean): Promise<boolean> {
    const { store, changes, stopping } = this.#parts;
    const turn = new AbortController();
    const over = AbortSignal.any([limit, turn.signal]);
    const changed = Promise.race(changes.map((change) => change.next(over)));
    try {
      const progress = await store.progress(lease.id);
      if (progress.ended !== null) throw absent(lease, progress);
      if (progress.present) return true;
      if (isOnce && progress.code === NO_SERVER) throw absent(lease, progress);
      if (stopping.aborted) throw new EmissaryError("not-ready", "Emissary is stopping; ask again soon.");
      if (limit.aborted) throw stillJoining(lease, progress);
      await changed;
      return false;
    } finally {
      turn.abort();
    }
  }
}

function absent({ roomId }: Lease, { ended, code, reason }: LeaseProgress): EmissaryError {
  const why = ended === "refused" || ended === null ? code : ended;
  const sentence = `The pseudouser is not in ${roomId}: ${clauseOf(reason ?? ended ?? "absent")}.`;
  return new EmissaryError("refused-by-homeserver", sentence, { reason: why ?? "absent" });
}

function stillJoining({ roomId }: Lease, { reason }: LeaseProgress): EmissaryError {
  const last = reason === null ? "" : ` The newest try: ${clauseOf(reason)}.`;
  return new EmissaryError("timeout", `The pseudouser is not yet in ${roomId}; joining goes on.${last} Ask again.`, {
    ...(reason === null ? { reason: STILL_JOINING } : {}),
  });
}
