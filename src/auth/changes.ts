import type { Change } from "./change.ts";
import { isFields, own } from "./json.ts";
import { joinRuleOf, membershipOf } from "./state.ts";
import { allow, reject, type AuthVerdict } from "./verdict.ts";

/** Rule 5.4. */
export function judgeInvite(change: Change): AuthVerdict {
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
export function judgeLeave({ state, power, sender, target }: Change): AuthVerdict {
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
export function judgeBan({ state, power, sender, target }: Change): AuthVerdict {
  if (membershipOf(state, sender) !== "join") return reject("5.6.1", "who bans is not in the room");
  const strength = power.ofUser(sender);
  return strength >= power.toBan && power.ofUser(target) < strength
    ? allow("5.6.2", "who bans has the power to, and more than the other")
    : reject("5.6.3", "who bans lacks the power to, or has no more than the other");
}

/** Rule 5.7. A peekable room can be joined, so it takes no knocks. */
export function judgeKnock({ state, sender, target }: Change): AuthVerdict {
  const rule = joinRuleOf(state);
  if (rule !== "knock" && rule !== "knock_restricted") return reject("5.7.1", "the join rule knows no knocking");
  if (sender !== target) return reject("5.7.2", "nobody knocks for somebody else");
  const current = membershipOf(state, sender);
  return current === "ban" || current === "invite" || current === "join"
    ? reject("5.7.4", `the user's membership is ${current}`)
    : allow("5.7.3", "the user may knock");
}
