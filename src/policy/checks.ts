import type { JsonValue } from "../model/json.ts";
import type { VerdictCode } from "../model/verdict.ts";
import { MAX_UPGRADES } from "../model/room.ts";
import type { Question } from "./question.ts";
import { isOpen, isReadable } from "./openness.ts";
import { mayPseudouserJoin } from "../auth/may-pseudouser-join.ts";
import { hasPeekableRule } from "../auth/version.ts";
import { denial, isListed, isOperators, subjectText, routeDenial, rulesOf } from "./rule-text.ts";
import type { MovedAlias } from "./permit.ts";
import type { PolicyRule, RuleMatch } from "./rule.ts";

type Refusal = Exclude<VerdictCode, "allowed">;

/** One reason to keep out of a room. */
export interface Check {
  readonly code: Refusal | ((question: Question) => Refusal);
  /** Returns the reason to refuse, or null if the check passes. */
  readonly refusal: (question: Question) => string | null;
  /** Returns why the check does not count here, as a clause; null if it counts. */
  readonly spares?: (question: Question) => string | null;
  /** Milliseconds, if time alone removes the refusal. */
  readonly retryAfter?: (question: Question) => number | null;
  /** The inputs of the check. */
  readonly inputs: (question: Question) => Readonly<Record<string, JsonValue>>;
}

/** A join under way commonly makes room for another within this time, milliseconds. */
const BUSY_RETRY_MS = 5_000;

type Exception = (question: Question) => string | null;

/** Returns the first of these exceptions that applies. */
const any =
  (...exceptions: readonly Exception[]): Exception =>
  (question) => {
    for (const exception of exceptions) {
      const clause = exception(question);
      if (clause !== null) return clause;
    }
    return null;
  };
const byOperator: Exception = ({ kind, upgrades }) =>
  kind === "operator" && upgrades === 0 ? "the operator asks for it" : null;
/** The operator named the room that this one replaces. That opens this room as a grant would, and no more. */
const byOperatorBefore: Exception = ({ kind, upgrades }) =>
  kind === "operator" && upgrades > 0 ? "the operator asked for the room that this one replaces" : null;
const byGrant: Exception = ({ reach }) => (reach === "named" ? "a grant of the operator's names this room" : null);
const byOperatorOrAllowedRoom = any(byOperator, ({ matches }) =>
  isRoomAllowed(matches) ? "the operator allows this room" : null,
);
const byOperatorOrGrant = any(byOperator, byOperatorBefore, byGrant);
/** An exception overrides rules against the room. It opens no route: a denied server is still not asked. */
const unlessByRoute =
  (whose: (rule: PolicyRule) => boolean): Exception =>
  (question) =>
    routeDenial(question, whose) === null ? byOperatorOrAllowedRoom(question) : null;
/** A check whether an upgrade is genuine shows the room to nobody. It goes where the room's own rules let it in. */
const byWayIn: Exception = ({ kind, ownMembership, look }) => {
  if (kind !== "upgrade") return null;
  if (ownMembership === "join") return "the pseudouser is there already";
  if (ownMembership === "invite") return "the pseudouser is invited";
  return look?.joinRule === "restricted" || look?.joinRule === "knock_restricted"
    ? "the room lets members of certain other rooms in, and its servers know which"
    : null;
};
/** A local user's invite alone does not let the pseudouser in: the room's own rules admit only invited users. */
const byInvite: Exception = ({ kind, ownMembership }) =>
  kind === "invite" && ownMembership === "invite"
    ? "the pseudouser is invited together with a user of its server"
    : null;
/** The invite's claims were judged when the lease was taken. The room's servers decide whether they are true. */
const byClaims: Exception = ({ kind, stage }) =>
  kind === "invite" && stage === "join" ? "the invite told what room it is" : null;

/** In order: the first refusal decides. The operator's wish passes the checks that protect the operator. */
export const CHECKS: readonly Check[] = [
  {
    code: "denied",
    refusal: (question) => routeDenial(question, isOperators) ?? denial(question, isOperators),
    spares: unlessByRoute(isOperators),
    inputs: ({ matches, deniedRoutes, notExcepted }) => ({
      rules: rulesOf(matches, isOperators),
      ...(deniedRoutes.length === 0 ? {} : { denied_routes: rulesOf(deniedRoutes, () => true) }),
      ...(notExcepted.length === 0 ? {} : { exceptions_that_do_not_count: [...notExcepted] }),
    }),
  },
  {
    code: "not-allowed",
    refusal: ({ reach, moved }) => {
      if (moved !== null) return movedClause(moved);
      return reach === "none" ? "none of the tenant's grants covers this room (emissary tenant allow)" : null;
    },
    inputs: ({ reach, moved }) => ({ word: reach, ...(moved === null ? {} : { granted_for: moved.roomId }) }),
  },
  {
    code: "listed",
    refusal: (question) => routeDenial(question, isListed) ?? denial(question, isListed),
    spares: unlessByRoute(isListed),
    inputs: ({ matches }) => ({ policy_lists: rulesOf(matches, isListed) }),
  },
  {
    code: "server-acl",
    refusal: ({ aclDenies }) =>
      aclDenies === true ? "the room's own access list (m.room.server_acl) keeps our server out" : null,
    inputs: ({ aclDenies }) => ({ acl_denies_us: aclDenies }),
  },
  {
    code: "room-version",
    refusal: ({ look, limits }) =>
      look?.version != null && limits.refuseVersions.includes(look.version)
        ? `rooms of version ${look.version} are not joined (policy.refuse_versions)`
        : null,
    spares: byOperatorOrAllowedRoom,
    inputs: ({ look, limits }) => ({
      room_version: look?.version ?? null,
      refuse_versions: [...limits.refuseVersions],
    }),
  },
  {
    code: ({ coolDown }) => coolDown?.code ?? "flooded",
    refusal: ({ coolDown }) =>
      coolDown && `${coolDown.reason}; the room is kept away from until ${new Date(coolDown.until).toISOString()}`,
    spares: byOperatorOrAllowedRoom,
    retryAfter: ({ coolDown, now }) => coolDown && Math.max(0, coolDown.until - now),
    inputs: ({ coolDown }) => ({
      cool_down: coolDown?.code ?? null,
      cool_down_until: coolDown?.until ?? null,
      strikes: coolDown?.strikes ?? 0,
    }),
  },
  {
    code: "upgrade-chain",
    refusal: ({ upgrades }) =>
      upgrades > MAX_UPGRADES
        ? `the room is the ${upgrades}th in a chain of upgrades, and at most ${MAX_UPGRADES} are followed`
        : null,
    inputs: ({ upgrades }) => ({ upgrades }),
  },
  {
    code: "room-cap",
    refusal: ({ stage, kind, ownMembership, roomsAttended, limits }) => {
      const most = kind === "invite" ? partOf(limits.maxRooms) : limits.maxRooms;
      return stage !== "hold" && ownMembership !== "join" && roomsAttended >= most
        ? `the pseudouser is in ${roomsAttended} rooms and may be in ${most}${forKind(kind, most, limits.maxRooms)} (policy.max_rooms)`
        : null;
    },
    inputs: ({ ownMembership, roomsAttended, limits }) => ({
      own_membership: ownMembership,
      rooms_attended: roomsAttended,
      max_rooms: limits.maxRooms,
    }),
  },
  {
    code: "room-share",
    refusal: ({ stage, kind, ownMembership, held, limits }) => {
      const most = partOf(limits.maxRooms);
      return kind === "tenant" && stage !== "hold" && ownMembership !== "join" && held.rooms >= most
        ? `the tenant holds ${held.rooms} rooms, and one tenant may hold half of ${limits.maxRooms} (policy.max_rooms)`
        : null;
    },
    spares: byOperatorOrAllowedRoom,
    inputs: ({ held, limits }) => ({ rooms_held: held.rooms, max_rooms: limits.maxRooms }),
  },
  {
    code: "busy-share",
    refusal: ({ stage, kind, ownMembership, held, joinsUnderWay, limits }) => {
      const free = Math.max(1, limits.maxJoinsUnderWay - joinsUnderWay);
      return kind === "tenant" && stage === "take" && ownMembership !== "join" && held.underWay >= free
        ? `${held.underWay} rooms of the tenant wait to be joined, and no more may than there are places left for others (policy.max_joins_under_way)`
        : null;
    },
    retryAfter: () => BUSY_RETRY_MS,
    inputs: ({ held, joinsUnderWay, limits }) => ({
      own_joins_under_way: held.underWay,
      joins_under_way: joinsUnderWay,
      max_joins_under_way: limits.maxJoinsUnderWay,
    }),
  },
  {
    code: "busy",
    refusal: ({ stage, kind, ownMembership, joinsUnderWay, limits }) => {
      const isWaitedFor = kind !== "invite" && kind !== "alias" && kind !== "upgrade";
      const most = isWaitedFor ? limits.maxJoinsUnderWay : partOf(limits.maxJoinsUnderWay);
      return stage === "take" && ownMembership !== "join" && joinsUnderWay >= most
        ? `${joinsUnderWay} rooms wait to be joined, and no more than ${most} may${forKind(kind, most, limits.maxJoinsUnderWay)} (policy.max_joins_under_way)`
        : null;
    },
    spares: byOperator,
    retryAfter: () => BUSY_RETRY_MS,
    inputs: ({ joinsUnderWay, limits }) => ({
      joins_under_way: joinsUnderWay,
      max_joins_under_way: limits.maxJoinsUnderWay,
    }),
  },
  {
    code: "not-visible",
    refusal: ({ look }) =>
      look === null
        ? "the homeserver can tell nothing of this room: it is private, or none of the given servers (via) is in it"
        : null,
    spares: any(byOperatorOrGrant, byClaims, byWayIn),
    inputs: ({ look }) => ({ visible: look !== null }),
  },
  {
    code: "not-peekable",
    refusal: ({ kind, look }) =>
      kind === "peek" && look !== null && !isReadable(look)
        ? "the room's history is not world-readable, so nobody may look into it from outside"
        : null,
    inputs: ({ look }) => ({ world_readable: look?.worldReadable ?? null }),
  },
  {
    code: "member-cap",
    refusal: ({ ownMembership, look, limits }) =>
      ownMembership !== "join" && look !== null && (look.joinedMembers ?? 0) > limits.maxMembers
        ? `the room has ${look.joinedMembers ?? 0} members, and rooms of more than ${limits.maxMembers} are not entered (policy.max_members)`
        : null,
    spares: byOperatorOrAllowedRoom,
    inputs: ({ look, limits }) => ({ joined_members: look?.joinedMembers ?? null, max_members: limits.maxMembers }),
  },
  {
    code: "join-rule",
    refusal: byJoinRule,
    spares: any(byOperatorOrGrant, byInvite, byWayIn, byStaying),
    inputs: ({ look, vouched }) => ({ join_rule: look?.joinRule ?? null, vouched }),
  },
  {
    code: ({ shortage }) => `budget-${shortage?.subject.kind ?? "all"}`,
    refusal: ({ shortage }) =>
      shortage === null
        ? null
        : `${subjectText(shortage.subject)} may cause ${shortage.budget.joins} joins in ${shortage.budget.per / 60_000} minutes, and these are used up`,
    spares: byOperator,
    retryAfter: ({ shortage }) => shortage?.retryAfter ?? null,
    inputs: ({ shortage }) => ({ budget_used_up: shortage === null ? null : shortage.subject.kind }),
  },
];

/** Explains that the alias by which the tenant asks is not what the operator granted. */
function movedClause({ alias, roomId }: MovedAlias): string {
  const confirm = "the operator has to confirm that (emissary tenant show, emissary tenant allow)";
  return roomId === null
    ? `it is not known for which room ${alias} was granted: ${confirm}`
    : `${alias} pointed to ${roomId} when it was granted and points elsewhere now: ${confirm}`;
}

/** Whether the operator's rules except the room from all checks against it, its size included. */
export function isRoomAllowed(matches: readonly RuleMatch[]): boolean {
  return matches.some(({ entity, rule }) => entity.kind === "room" && rule.verdict === "allow");
}

/** Whether rules alone decide the question. */
export function isDenied(matches: readonly RuleMatch[]): boolean {
  return !isRoomAllowed(matches) && matches.some(({ rule }) => rule.verdict === "deny");
}

/** Applies MSC1777's rule in versions that have it. In others, any public room may be entered (decision 0008). */
function byJoinRule({ look, vouched }: Question): string | null {
  if (look === null) return null;
  if (hasPeekableRule(look.version)) {
    const { allowed, reason } = mayPseudouserJoin({
      roomVersion: look.version,
      joinRule: look.joinRule,
      worldReadable: look.worldReadable,
      ownMembership: null,
      isVouchedFor: vouched,
    });
    return allowed ? null : reason;
  }
  return isOpen(look)
    ? null
    : `the room's join rule is ${look.joinRule ?? "not set"}: without the operator's word or an invite only public rooms are entered`;
}

/** Holders that act in a room stay when it closes, as members do. Readers leave: new events are not for them. */
function byStaying({ stage, kind, look, ownMembership }: Question): string | null {
  if (hasPeekableRule(look?.version)) return null;
  const isReader = kind === "peek" || kind === "watch" || kind === "index";
  // An alias shows the room to nobody: it only keeps us where we are already.
  if (kind === "alias" && ownMembership === "join") return "the pseudouser is there already";
  return stage === "hold" && !isReader ? "the pseudouser came while the room was open" : null;
}

/** Returns the part of a cap for leases that nobody waits for. Others can cause any number of invites. */
function partOf(cap: number): number {
  return Math.ceil(cap / 2);
}

function forKind(kind: string, most: number, cap: number): string {
  return most === cap ? "" : ` for a lease of the kind ${kind}, half of ${cap}`;
}
