import type { Attendance } from "./attendance.ts";
import type { Membership } from "../model/membership.ts";
import { isVerdictCode } from "../model/verdict.ts";

export interface Situation {
  readonly now: number;
  readonly ownMembership: Membership | null;
  readonly liveLeases: number;
  readonly attendance: Attendance;
  /** Shortest stay without a lease, in milliseconds. */
  readonly linger: number;
  /** A random number from 0 up to 1, which lengthens the stay. */
  readonly draw: number;
}

/** The next step in one room. `rest` writes the present state and when to look again (null: at the next change). */
export type Step =
  | { readonly act: "join" }
  | { readonly act: "leave" }
  | {
      readonly act: "rest";
      readonly phase: Attendance["phase"];
      readonly nextAt: number | null;
      readonly leaveAt: number | null;
    };

/** Largest random part of the linger. Everybody sees us leave; this hides who stopped reading when. */
const SPREAD = 0.5;

/** Compares the leases with what the homeserver told us; the difference is the step. Pure. */
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

/** Returns whether policy ended the room's leases and it has none since. In `joining`, such a code only postpones. */
export function isOverRefused({ phase, code }: Attendance, liveLeases: number): boolean {
  return liveLeases === 0 && phase !== "joining" && code !== null && isVerdictCode(code);
}

/** Returns the time drawn before; null if none was, or if the clock was set back since. */
function drawn(leaveAt: number | null, latest: number): number | null {
  return leaveAt !== null && leaveAt <= latest ? leaveAt : null;
}
