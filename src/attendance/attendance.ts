import type { RoomId, ServerName } from "../model/ids.ts";
import type { Lease, LeaseEnd } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";

/**
 * The pseudouser's attendance in one room. `present` and `absent` follow from what the homeserver told us. In
 * `joining` and `leaving` a move is under way. `refused` means that the homeserver refused the last try.
 */
export type Phase = "absent" | "joining" | "present" | "leaving" | "refused";

export interface Attendance {
  readonly roomId: RoomId;
  readonly phase: Phase;
  /** When the phase began, in milliseconds since the epoch. */
  readonly since: number;
  /** Failed tries in a row of the present join or leave. */
  readonly tries: number;
  /** When the keeper looks at this room again by itself; null if only a change wakes it. */
  readonly nextAt: number | null;
  /** Earliest time for the next try of a failed join or leave. */
  readonly retryAt: number | null;
  /** When we leave a room without leases, drawn when its last lease ended; null while it has a lease. */
  readonly leaveAt: number | null;
  /** Why we are refused, or why the newest try failed: a short code and a sentence. Null once we are in. */
  readonly code: string | null;
  readonly reason: string | null;
}

/** All that a decision about one room needs, read at one moment. */
export interface RoomSituation {
  readonly attendance: Attendance;
  /** Rises with every change in the room that the keeper must look at. */
  readonly revision: number;
  readonly ownMembership: Membership | null;
  readonly leases: readonly Lease[];
  readonly via: readonly ServerName[];
}

/** How far the join for a lease has come. */
export interface LeaseProgress {
  readonly present: boolean;
  /** Why the lease ended; null while it lives. */
  readonly ended: LeaseEnd | null;
  readonly code: string | null;
  readonly reason: string | null;
}

/** Code of a try in which none of the asked servers let us in. It may be repeated; waiting callers are told. */
export const NO_SERVER = "no-server";
