import type { Change } from "./change.ts";
import { own } from "./json.ts";
import { isJoinedOrInvited, joinRuleOf, membershipOf } from "./state.ts";
import { isPseudouserId, isUserId, serverNameOf } from "./user-id.ts";
import { allow, named, reject, type AuthVerdict } from "./verdict.ts";
import { hasPeekableRule, PEEKABLE, VOUCHED_FOR_BY } from "./version.ts";

/** Rule 5.3, with 5.3.3a and `peekable` in 5.3.6 if the room version has them. */
export function judgeJoin(change: Change): AuthVerdict {
  const { state, sender, target } = change;
  if (change.isFirst && target === change.creator) return allow("5.3.1", "the creator joins first");
  if (sender !== target) return reject("5.3.2", "nobody joins for somebody else");
  if (membershipOf(state, sender) === "ban") return reject("5.3.3", "the user is banned");
  const isPeekableVersion = hasPeekableRule(change.version);
  if (isPeekableVersion && isPseudouserId(target)) return judgePseudouser(change);

  const rule = joinRuleOf(state);
  switch (rule) {
    case "invite":
    case "knock":
      return isJoinedOrInvited(state, sender)
        ? allow("5.3.4", "the user is invited, or in the room already")
        : reject("5.3.4", `the join rule is ${rule}, and the user is not invited`);
    case "restricted":
    case "knock_restricted":
      return judgeRestricted(change);
    case "public":
      return allow("5.3.6", "the room is public");
    case PEEKABLE:
      if (isPeekableVersion) return allow("5.3.6", "the room is peekable, which for people is public");
  }
  return reject("5.3.7", `the join rule ${named(rule)} is unknown to the room version, and lets nobody join`);
}

/** Rule 5.3.3a: only its own membership, the join rule `peekable`, or a user of its server lets a pseudouser in. */
function judgePseudouser({ state, target, content }: Change): AuthVerdict {
  if (isJoinedOrInvited(state, target)) {
    return allow("5.3.3a.1", "the pseudouser is invited itself, or in the room already");
  }
  if (joinRuleOf(state) === PEEKABLE) return allow("5.3.3a.2", "the room is peekable");

  const voucher = own(content, VOUCHED_FOR_BY);
  const not = (reason: string): AuthVerdict => reject("5.3.3a.4", `the room is not peekable, and ${reason}`);
  if (voucher === undefined) return not("the join names nobody who vouches for it");
  if (!isUserId(voucher)) return not("who is named as voucher is no user");
  if (isPseudouserId(voucher)) return not("a pseudouser vouches for nobody");
  if (serverNameOf(voucher) !== serverNameOf(target)) return not("the voucher is of another server");
  if (!isJoinedOrInvited(state, voucher)) return not("the voucher is neither in the room nor invited");
  return allow("5.3.3a.3", "a user of the pseudouser's server is in the room or invited");
}

/** Rule 5.3.5. Only the authorising server can tell who is in the allowed rooms: hence its signature (rule 5.2). */
function judgeRestricted({ state, power, sender, content }: Change): AuthVerdict {
  if (isJoinedOrInvited(state, sender)) return allow("5.3.5.1", "the user is invited, or in the room already");
  const authorising = own(content, "join_authorised_via_users_server");
  if (!isUserId(authorising) || membershipOf(state, authorising) !== "join") {
    return reject("5.3.5.2", "nobody in the room authorises the join");
  }
  return power.ofUser(authorising) >= power.toInvite
    ? allow("5.3.5.3", "somebody who may invite authorises the join")
    : reject("5.3.5.2", "who authorises the join may not invite");
}
