import { hasPeekableRule, PEEKABLE } from "./version.ts";

/** What a server must know of a room before it sends its pseudouser there. */
export interface JoinSituation {
  /** Null if not known: then the room is treated as one of today's versions. */
  readonly roomVersion: string | null;
  readonly joinRule: string | null;
  /** Whether `m.room.history_visibility` is `world_readable`. */
  readonly worldReadable: boolean;
  /** The pseudouser's own membership. */
  readonly ownMembership: string | null;
  /** Whether a user of the server, other than the pseudouser, is joined or invited, and so vouches. */
  readonly isVouchedFor: boolean;
}

export type JoinCode =
  "member" | "invited" | "peekable" | "counts-as-peekable" | "vouched" | "banned" | "closed" | "not-peekable";

export interface JoinVerdict {
  readonly allowed: boolean;
  readonly code: JoinCode;
  /** One sentence for people. */
  readonly reason: string;
}

/** Join rules of today's versions that may let a pseudouser in without its own invite. No other rules do. */
const OPEN: readonly (string | null)[] = ["public", "restricted", "knock_restricted"];

/**
 * Returns whether a server may let its pseudouser join (MSC1777). Today's room versions lack the join rule `peekable`:
 * there, `public` and `world_readable` together count as peekable, and vouching opens no closed room.
 */
export function mayPseudouserJoin(situation: JoinSituation): JoinVerdict {
  const { ownMembership, joinRule, isVouchedFor } = situation;
  const yes = (code: JoinCode, reason: string): JoinVerdict => ({ allowed: true, code, reason });
  const no = (code: JoinCode, reason: string): JoinVerdict => ({ allowed: false, code, reason });

  if (ownMembership === "ban") return no("banned", "the pseudouser is banned from the room");
  if (ownMembership === "join") return yes("member", "the pseudouser is in the room");
  if (ownMembership === "invite") return yes("invited", "the pseudouser is invited to the room");

  const vouched = "a user of this server has joined the room or is invited";
  if (hasPeekableRule(situation.roomVersion)) {
    if (joinRule === PEEKABLE) return yes("peekable", "the room's join rule is peekable");
    if (isVouchedFor) return yes("vouched", vouched);
    return no(
      "not-peekable",
      "the room's join rule is not peekable, and no user of this server is in the room or invited",
    );
  }
  if (joinRule === "public" && situation.worldReadable) {
    return yes("counts-as-peekable", "the room is public and world-readable, which counts as peekable in its version");
  }
  if (!isVouchedFor) {
    return no(
      "not-peekable",
      "the room is not public and world-readable, and no user of this server is in it or invited",
    );
  }
  if (OPEN.includes(joinRule)) return yes("vouched", vouched);
  return no("closed", `${vouched}, but in this room version the pseudouser itself has to be invited`);
}
