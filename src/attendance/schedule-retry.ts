import type { Clock, Random } from "../model/clock.ts";
import type { RoomId } from "../model/ids.ts";
import { backoff } from "../concurrency/backoff.ts";
import type { AttendanceStore, MoveFailure } from "./contracts.ts";

/** How often to repeat the write when the room changed in between. The next round sees the room anyway. */
const SAVE_ATTEMPTS = 5;

export interface RetryParts {
  readonly store: Pick<AttendanceStore, "situation" | "save">;
  readonly clock: Clock;
  readonly random: Random;
}

export type Failure = Pick<MoveFailure, "code" | "reason"> & {
  /** Shortest pause in milliseconds; null to derive it from the number of tries. */
  readonly retryAfter: number | null;
};

/** Writes a failed try and when the next may be made; until then the room rests. */
export async function scheduleRetry(
  parts: RetryParts,
  roomId: RoomId,
  { code, reason, retryAfter }: Failure,
): Promise<void> {
  const { store, clock, random } = parts;
  for (let attempt = 0; attempt < SAVE_ATTEMPTS; attempt += 1) {
    const { attendance, revision } = await store.situation(roomId);
    const tries = attendance.tries + 1;
    const now = clock.now();
    const retryAt = now + Math.max(retryAfter ?? 0, backoff(tries, random));
    if (await store.save({ ...attendance, tries, retryAt, nextAt: now, code, reason }, revision)) return;
  }
}
