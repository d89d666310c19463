import { withLimit, type Clock } from "../model/clock.ts";
import { clauseOf, EmissaryError } from "../model/errors.ts";
import type { Lease } from "../model/lease.ts";
import type { Signal } from "../concurrency/signal.ts";
import { NO_SERVER, type LeaseProgress } from "./attendance.ts";
import type { AttendanceStore } from "./store/attendance.ts";

/** Reason of a wait that ended while the first try was still under way. */
export const STILL_JOINING = "still-joining";

export interface WaitParts {
  readonly store: Pick<AttendanceStore, "progress">;
  /** Each fires when the situation of some room may have changed. */
  readonly changes: readonly Signal[];
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

/** Waits as Keeper.untilPresent says. A thousand waiters cost no more than a look at each change. */
export function untilPresent(
  { store, changes, clock, stopping }: WaitParts,
  lease: Lease,
  within: number,
  abort: AbortSignal,
  isOnce: boolean,
): Promise<void> {
  return withLimit(clock, within, AbortSignal.any([abort, stopping]), async (limit) => {
    for (;;) {
      const turn = new AbortController();
      const over = AbortSignal.any([limit, turn.signal]);
      // Listens before it reads, so that no change is missed.
      const changed = Promise.race(changes.map((change) => change.next(over)));
      try {
        const progress = await store.progress(lease.id);
        if (progress.ended !== null) throw absent(lease, progress);
        if (progress.present) return;
        if (isOnce && progress.code === NO_SERVER) throw absent(lease, progress);
        if (stopping.aborted) throw new EmissaryError("not-ready", "Emissary is stopping; ask again soon.");
        if (limit.aborted) throw stillJoining(lease, progress);
        await changed;
      } finally {
        turn.abort();
      }
    }
  });
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
