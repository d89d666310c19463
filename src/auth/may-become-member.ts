import { isFields, isUserId, named, own, reject, serverNameOf, type AuthVerdict } from "./basics.ts";
import { JUDGES } from "./changes.ts";
import { isKnownVersion } from "./version.ts";
import { creatorsOf, readPower, readState } from "./state.ts";

/** Signatures that the caller has checked. They count as invalid unless set to true. */
export interface Signatures {
  /** The event is validly signed by the server of `join_authorised_via_users_server` (rule 5.2). */
  readonly authorisingServer?: boolean;
  /** `third_party_invite.signed` is validly signed by a key of the `m.room.third_party_invite` event (rule 5.4.1.7). */
  readonly thirdPartyInvite?: boolean;
}

/** The input, as unchecked JSON. */
export interface AuthQuestion {
  /** The `m.room.create` event. Its content names the room version. */
  readonly create: unknown;
  /** The event's auth events, or the room's state, without the create event. */
  readonly state: readonly unknown[];
  /** The `m.room.member` event. */
  readonly event: unknown;
  /** Whether the event's only previous event is the create event (rule 5.3.1). */
  readonly isFirst?: boolean;
  readonly signatures?: Signatures;
}

/** Judges a membership event by rules 4 and 5 of room versions `org.matrix.msc1777.12` and 12. */
export function mayBecomeMember({ create, state: events, event, isFirst, signatures }: AuthQuestion): AuthVerdict {
  if (!isFields(create)) return reject("2", "there is no create event");
  const [creator, room] = [own(create, "sender"), own(create, "content")];
  if (!isUserId(creator) || !isFields(room)) return reject("2", "the create event is malformed");
  const version = own(room, "room_version");
  if (!isKnownVersion(version)) return reject("1.3", `the rules of room version ${named(version)} are not known here`);
  const creators = creatorsOf({ sender: creator, content: room });
  if (creators === null) return reject("1.4", "additional_creators is not a list of user IDs");

  const state = Array.isArray(events) ? readState(events) : null;
  if (state === null) return reject("3", "the state has malformed events, or two for one type and state key");
  const power = readPower(state, creators);
  if (power === null) return reject("10", "the power levels are malformed");

  if (!isFields(event) || own(event, "type") !== "m.room.member")
    return reject("5", "the event is no membership event");
  const [sender, target, content] = [own(event, "sender"), own(event, "state_key"), own(event, "content")];
  if (!isUserId(sender)) return reject("5", "the sender is no user ID");
  if (own(room, "m.federate") === false && serverNameOf(sender) !== serverNameOf(creator)) {
    return reject("4", "the room is of one server only");
  }
  if (!isUserId(target)) return reject("5.1", "the state key is no user ID");
  const membership = isFields(content) ? own(content, "membership") : undefined;
  if (!isFields(content) || typeof membership !== "string") return reject("5.1", "the event names no membership");
  if (Object.hasOwn(content, "join_authorised_via_users_server")) {
    const isSigned = isUserId(content["join_authorised_via_users_server"]) && signatures?.authorisingServer === true;
    if (!isSigned) return reject("5.2", "the server that authorises the join has not signed it");
  }
  const change = { version, creator, state, power, sender, target, membership, content };
  const isThirdPartySigned = signatures?.thirdPartyInvite === true;
  const verdict = JUDGES.get(membership)?.({ ...change, isFirst: isFirst === true, isThirdPartySigned });
  return verdict ?? reject("5.8", `the membership ${named(membership)} is unknown`);
}
