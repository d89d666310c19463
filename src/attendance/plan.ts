import type { Attendance } from "../model/attendance.ts";
import type { Membership } from "../model/membership.ts";

export interface Situation {
  readonly now: number;
  readonly ownMembership: Membership | null;
  readonly liveLeases: number;
  readonly attendance: Attendance;
  /** How long we stay without a lease, milliseconds. */
  readonly linger: number;
}

/** What is to be done in one room. `rest` writes down how things stand, and when to look again (null: when something happens). */
export type Step =
  | { readonly act: "join" }
  | { readonly act: "leave" }
  | {
      readonly act: "rest";
      readonly phase: Attendance["phase"];
      readonly nextAt: number | null;
      readonly idleSince: number | null;
    };

/** Leases on one side, what the homeserver told us on the other: the difference is the step. Pure. */
export function plan({ now, ownMembership, liveLeases, attendance, linger }: Situation): Step {
  const wanted = liveLeases > 0;
  const inside = ownMembership === "join";
  const held = attendance.retryAt !== null && attendance.retryAt > now ? attendance.retryAt : null;

  if (wanted && inside) return { act: "rest", phase: "present", nextAt: null, idleSince: null };
  if (wanted) {
    if (held !== null) return { act: "rest", phase: "joining", nextAt: held, idleSince: null };
    return { act: "join" };
  }
  if (!inside) {
    const phase = attendance.phase === "refused" ? "refused" : "absent";
    return { act: "rest", phase, nextAt: null, idleSince: null };
  }
  const idleSince = Math.min(attendance.idleSince ?? now, now);
  const leaveAt = Math.max(idleSince + linger, held ?? 0);
  if (leaveAt > now) return { act: "rest", phase: held !== null ? "leaving" : "present", nextAt: leaveAt, idleSince };
  return { act: "leave" };
}
