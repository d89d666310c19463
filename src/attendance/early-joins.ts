import type { Clock } from "../model/clock.ts";
import type { MoveAnswer } from "./contracts.ts";

/** Pauses before a refused join is repeated, in milliseconds. */
const PAUSES_MS = [300, 1_000, 3_000] as const;

/**
 * Joins by an invite. A server sends an invite before it stores it (spec, server-server API, "Inviting to a room"):
 * for a moment it does not know the invite, and refuses the join.
 */
export async function joinedByInvite<T extends MoveAnswer | null>(
  join: () => Promise<T>,
  clock: Clock,
  abort: AbortSignal,
): Promise<T> {
  let answer = await join();
  for (const pause of PAUSES_MS) {
    if (answer?.outcome !== "refused" || answer.code !== "M_FORBIDDEN" || abort.aborted) break;
    await clock.sleep(pause, abort);
    answer = await join();
  }
  return answer;
}
