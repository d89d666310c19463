import type { HolderKind } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";
import type { JsonValue } from "../model/json.ts";
import type { Word } from "./permit.ts";
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
  /** For a tenant: what the operator said of this room. Null for other holders. */
  readonly word: Word | null;
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
    code: "not-allowed",
    objection: ({ word }) =>
      word === "none" ? "none of the tenant's grants covers this room (emissary tenant allow)" : null,
  },
  {
    code: "room-cap",
    objection: ({ ownMembership, roomsAttended, limits }) =>
      ownMembership !== "join" && roomsAttended >= limits.maxRooms
        ? `the pseudouser is in ${roomsAttended} rooms and may be in ${limits.maxRooms} (policy.max_rooms)`
        : null,
  },
  {
    code: "not-visible",
    objection: ({ kind, word, look }) =>
      look === null && kind !== "operator" && word !== "named"
        ? "the homeserver can tell nothing of this room: it is private, or none of the given servers (via) is in it"
        : null,
  },
  {
    code: "not-peekable",
    objection: ({ kind, look }) =>
      kind === "peek" && look !== null && !look.worldReadable
        ? "the room's history is not world-readable, so nobody may look into it from outside"
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
    objection: ({ kind, word, look }) =>
      kind !== "operator" && word !== "named" && look !== null && look.joinRule !== "public"
        ? `the room's join rule is ${look.joinRule ?? "not set"}: without the operator's word or an invite only public rooms are entered`
        : null,
  },
];

/** Judges whether a holder may have the pseudouser in a room. Pure: the same question has the same answer. */
export function judge(question: Question): Verdict {
  const inputs: Record<string, JsonValue> = {
    holder: question.kind,
    word: question.word,
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
