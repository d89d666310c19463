/**
 * `matrix-emissary/auth`: the membership rules of room version `org.matrix.msc1777.12`, which is version 12 with the
 * join rule `peekable` (MSC1777). docs/room-version.md describes the rules. Runs in browsers, too. Never throws.
 */
export { isPseudouserId, isUserId, serverNameOf, type AuthVerdict } from "./basics.ts";
export { authTypesFor, readableByNonMembers, redactedContent, type StateKey } from "./events.ts";
export { mayBecomeMember, type AuthQuestion, type Signatures } from "./may-become-member.ts";
export { mayPseudouserJoin, type JoinCode, type JoinSituation, type JoinVerdict } from "./may-pseudouser-join.ts";
export { hasPeekableRule, PEEKABLE, ROOM_VERSION, VOUCHED_FOR_BY } from "./version.ts";
