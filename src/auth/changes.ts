import {
  allow,
  isFields,
  isPseudouserId,
  isUserId,
  named,
  own,
  reject,
  serverNameOf,
  type AuthVerdict,
  type Fields,
} from "./basics.ts";
import { hasPeekableRule, PEEKABLE, VOUCHED_FOR_BY } from "./version.ts";
import { isJoinedOrInvited, joinRuleOf, membershipOf, type AuthState, type Power } from "./state.ts";

/** A well-formed membership change, and the data to judge it by. */
export interface Change {
  readonly version: string;
  /** The sender of the create event. Additional creators have power only. */
  readonly creator: string;
  readonly state: AuthState;
  readonly power: Power;
  readonly sender: string;
  readonly target: string;
  readonly membership: string;
  readonly content: Fields;
  readonly isFirst: boolean;
  readonly isThirdPartySigned: boolean;
}

/** Rule 5.3, with 5.3.3a and `peekable` in 5.3.6 if the room version has them. */
function judgeJoin(change: Change): AuthVerdict {
  const { state, sender, target } = change;
  if (change.isFirst && target === change.creator) return allow("5.3.1", "the creator joins first");
  if (sender !== target) return reject("5.3.2", "nobody joins for somebody else");
  if (membershipOf(state, sender) === "ban") return reject("5.3.3", "the user is banned");
  const isPeekableVersion = hasPeekableRule(change.version);
  if (isPeekableVersion && isPseudouserId(target)) return judgePseudouser(change);

  const rule = joinRuleOf(state);
  if (rule === "invite" || rule === "knock") {
    return isJoinedOrInvited(state, sender)
      ? allow("5.3.4", "the user is invited, or in the room already")
      : reject("5.3.4", `the join rule is ${rule}, and the user is not invited`);
  }
  if (rule === "restricted" || rule === "knock_restricted") return judgeRestricted(change);
  if (rule === "public") return allow("5.3.6", "the room is public");
  if (rule === PEEKABLE && isPeekableVersion) return allow("5.3.6", "the room is peekable, which for people is public");
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

/** Rule 5.4. */
function judgeInvite(change: Change): AuthVerdict {
  const { state, power, sender, target } = change;
  if (Object.hasOwn(change.content, "third_party_invite")) return judgeThirdPartyInvite(change);
  if (membershipOf(state, sender) !== "join") return reject("5.4.2", "who invites is not in the room");
  const current = membershipOf(state, target);
  if (current === "join" || current === "ban") {
    return reject("5.4.3", current === "ban" ? "who is invited is banned" : "who is invited is in the room already");
  }
  return power.ofUser(sender) >= power.toInvite
    ? allow("5.4.4", "who invites is in the room and has the power to")
    : reject("5.4.5", "who invites lacks the power to");
}

/** Rule 5.4.1. */
function judgeThirdPartyInvite({ state, sender, target, content, isThirdPartySigned }: Change): AuthVerdict {
  if (membershipOf(state, target) === "ban") return reject("5.4.1.1", "who is invited is banned");
  const invite = own(content, "third_party_invite");
  const signed = isFields(invite) ? own(invite, "signed") : undefined;
  if (!isFields(signed)) return reject("5.4.1.2", "the third-party invite is not signed");
  const [mxid, token] = [own(signed, "mxid"), own(signed, "token")];
  if (typeof mxid !== "string" || typeof token !== "string") {
    return reject("5.4.1.3", "the third-party invite names no user or no token");
  }
  if (mxid !== target) return reject("5.4.1.4", "the third-party invite is for somebody else");
  const offer = state.get("m.room.third_party_invite", token);
  if (offer === undefined) return reject("5.4.1.5", "the room knows no third-party invite with this token");
  if (offer.sender !== sender) return reject("5.4.1.6", "the third-party invite was made by somebody else");
  return isThirdPartySigned
    ? allow("5.4.1.7", "the third-party invite is signed by a key that the room names")
    : reject("5.4.1.8", "no key that the room names has signed the third-party invite");
}

/** Rule 5.5: leaving, declining an invite, withdrawing a knock; kicking and unbanning. */
function judgeLeave({ state, power, sender, target }: Change): AuthVerdict {
  const current = membershipOf(state, target);
  if (sender === target) {
    return current === "invite" || current === "join" || current === "knock"
      ? allow("5.5.1", "everybody may leave")
      : reject("5.5.1", "the user has nothing to leave");
  }
  if (membershipOf(state, sender) !== "join") return reject("5.5.2", "who kicks or unbans is not in the room");
  const strength = power.ofUser(sender);
  if (current === "ban" && strength < power.toBan) return reject("5.5.3", "who unbans lacks the power to ban");
  return strength >= power.toKick && power.ofUser(target) < strength
    ? allow("5.5.4", "who kicks or unbans has the power to, and more than the other")
    : reject("5.5.5", "who kicks or unbans lacks the power to, or has no more than the other");
}

/** Rule 5.6. */
function judgeBan({ state, power, sender, target }: Change): AuthVerdict {
  if (membershipOf(state, sender) !== "join") return reject("5.6.1", "who bans is not in the room");
  const strength = power.ofUser(sender);
  return strength >= power.toBan && power.ofUser(target) < strength
    ? allow("5.6.2", "who bans has the power to, and more than the other")
    : reject("5.6.3", "who bans lacks the power to, or has no more than the other");
}

/** Rule 5.7. A peekable room can be joined, so it takes no knocks. */
function judgeKnock({ state, sender, target }: Change): AuthVerdict {
  const rule = joinRuleOf(state);
  if (rule !== "knock" && rule !== "knock_restricted") return reject("5.7.1", "the join rule knows no knocking");
  if (sender !== target) return reject("5.7.2", "nobody knocks for somebody else");
  const current = membershipOf(state, sender);
  return current === "ban" || current === "invite" || current === "join"
    ? reject("5.7.4", `the user's membership is ${current}`)
    : allow("5.7.3", "the user may knock");
}

export const JUDGES: ReadonlyMap<string, (change: Change) => AuthVerdict> = new Map([
  ["join", judgeJoin],
  ["invite", judgeInvite],
  ["leave", judgeLeave],
  ["ban", judgeBan],
  ["knock", judgeKnock],
]);
