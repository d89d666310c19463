import type { HolderKind } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";
import type { JsonValue } from "../model/json.ts";
import type { Verdict, VerdictCode } from "../model/verdict.ts";

/** What is known of a room before the pseudouser is in it: from the ledger, or looked up over federation (room summary, MSC3266). */
export interface RoomLook {
  readonly joinRule: string | null;
  readonly worldReadable: boolean;
  readonly joinedMembers: number | null;
  readonly version: string | null;
  readonly encryption: string | null;
}

export interface Limits {
  /** How many rooms the pseudouser is in at most. */
  readonly maxRooms: number;
  /** How many joined members a room may have for the pseudouser to enter it. */
  readonly maxMembers: number;
}

export interface Question {
  readonly kind: HolderKind;
  readonly ownMembership: Membership | null;
  /** Null where the homeserver can tell nothing of the room. */
  readonly look: RoomLook | null;
  readonly roomsAttended: number;
  readonly limits: Limits;
}

interface Rule {
  readonly code: VerdictCode;
  /** The reason to refuse, or null where the rule has nothing against it. */
  readonly objection: (question: Question) => string | null;
}

/** In this order; the first objection decides. The operator's own word passes the rules that protect the operator. */
const RULES: readonly Rule[] = [
  {
    code: "room-cap",
    objection: ({ ownMembership, roomsAttended, limits }) =>
      ownMembership !== "join" && roomsAttended >= limits.maxRooms
        ? `the pseudouser is in ${roomsAttended} rooms and may be in ${limits.maxRooms} (policy.max_rooms)`
        : null,
  },
  {
    code: "not-visible",
    objection: ({ kind, look }) =>
      look === null && kind !== "operator"
        ? "the homeserver can tell nothing of this room: it is private, or none of the given servers (via) is in it"
        : null,
  },
  {
    code: "member-cap",
    objection: ({ kind, ownMembership, look, limits }) =>
      kind !== "operator" && ownMembership !== "join" && look !== null && (look.joinedMembers ?? 0) > limits.maxMembers
        ? `the room has ${look.joinedMembers ?? 0} members, and rooms of more than ${limits.maxMembers} are not entered (policy.max_members)`
        : null,
  },
  {
    code: "join-rule",
    objection: ({ kind, look }) =>
      kind !== "operator" && look !== null && look.joinRule !== "public"
        ? `the room's join rule is ${look.joinRule ?? "not set"}: without the operator's word only public rooms are entered`
        : null,
  },
];

/** Judges whether a holder may have the pseudouser in a room. Pure: the same question has the same answer. */
export function judge(question: Question): Verdict {
  const inputs: Record<string, JsonValue> = {
    holder: question.kind,
    own_membership: question.ownMembership,
    rooms_attended: question.roomsAttended,
    max_rooms: question.limits.maxRooms,
    max_members: question.limits.maxMembers,
    join_rule: question.look?.joinRule ?? null,
    world_readable: question.look?.worldReadable ?? null,
    joined_members: question.look?.joinedMembers ?? null,
    room_version: question.look?.version ?? null,
  };
  for (const rule of RULES) {
    const reason = rule.objection(question);
    if (reason !== null) return { allowed: false, code: rule.code, reason, inputs };
  }
  return { allowed: true, code: "allowed", reason: "no rule is against it", inputs };
}
