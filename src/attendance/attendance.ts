import type { RoomId } from "../model/ids.ts";

/**
 * The pseudouser's being in one room. `present` and `absent` follow from what the homeserver told us; `joining` and `leaving`
 * say that we are at it; `refused` that the last try was answered with a no.
 */
export type Phase = "absent" | "joining" | "present" | "leaving" | "refused";

export interface Attendance {
  readonly roomId: RoomId;
  readonly phase: Phase;
  /** When the phase began, milliseconds since the epoch. */
  readonly since: number;
  /** Failed tries in a row of the present joining or leaving. */
  readonly tries: number;
  /** When the keeper looks at this room again by itself; null for not before something happens. */
  readonly nextAt: number | null;
  /** A failed joining or leaving is not tried again before this. */
  readonly retryAt: number | null;
  /** When we leave the room that no lease holds any more, drawn when the last one ended; null while one does. */
  readonly leaveAt: number | null;
  /** Why we are refused, or why the newest try failed: a short code and a sentence. Null once we are in. */
  readonly code: string | null;
  readonly reason: string | null;
}

/** The code of a try in which none of the servers that were asked let us in: it may be made again, and who waits is told. */
export const NO_SERVER = "no-server";
