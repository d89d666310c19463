import type { Attendance } from "./attendance.ts";
import type { Membership } from "../model/membership.ts";
import { isVerdictCode } from "../model/verdict.ts";

export interface Situation {
  readonly now: number;
  readonly ownMembership: Membership | null;
  readonly liveLeases: number;
  readonly attendance: Attendance;
  /** How long we stay without a lease at least, milliseconds. */
  readonly linger: number;
  /** A random number from 0 up to 1: how much longer. */
  readonly draw: number;
}

/** What is to be done in one room. `rest` writes down how things stand, and when to look again (null: when something happens). */
export type Step =
  | { readonly act: "join" }
  | { readonly act: "leave" }
  | {
      readonly act: "rest";
      readonly phase: Attendance["phase"];
      readonly nextAt: number | null;
      readonly leaveAt: number | null;
    };

/** The linger is up to so much longer, so that the time of our leaving, which everybody sees, does not tell who stopped reading when. */
const SPREAD = 0.5;

/** Leases on one side, what the homeserver told us on the other: the difference is the step. Pure. */
export function plan({ now, ownMembership, liveLeases, attendance, linger, draw }: Situation): Step {
  const wanted = liveLeases > 0;
  const inside = ownMembership === "join";
  const held = attendance.retryAt !== null && attendance.retryAt > now ? attendance.retryAt : null;

  if (wanted && inside) return { act: "rest", phase: "present", nextAt: null, leaveAt: null };
  if (wanted) {
    if (held !== null) return { act: "rest", phase: "joining", nextAt: held, leaveAt: null };
    return { act: "join" };
  }
  if (!inside) {
    const phase = attendance.phase === "refused" || isOverRefused(attendance, liveLeases) ? "refused" : "absent";
    return { act: "rest", phase, nextAt: null, leaveAt: null };
  }
  const leaveAt =
    drawn(attendance.leaveAt, now + linger * (1 + SPREAD)) ?? now + Math.round(linger * (1 + SPREAD * draw));
  const nextAt = Math.max(leaveAt, held ?? 0);
  if (nextAt > now) return { act: "rest", phase: held !== null ? "leaving" : "present", nextAt, leaveAt };
  return { act: "leave" };
}

/**
 * Whether policy ended the room's leases while we were there, and nobody has taken one since. Why is told until somebody does. While
 * we are joining, a verdict's code is only what puts the next try off.
 */
export function isOverRefused({ phase, code }: Attendance, liveLeases: number): boolean {
  return liveLeases === 0 && phase !== "joining" && code !== null && isVerdictCode(code);
}

/** The time that was drawn before; null where none was, or the clock was set back since. */
function drawn(leaveAt: number | null, latest: number): number | null {
  return leaveAt !== null && leaveAt <= latest ? leaveAt : null;
}
