/** `matrix-emissary/masking`: keeps pseudousers (MSC1777) out of member lists, counts and room names. Runs in browsers too. */
export { maskAnswer } from "./answer.ts";
export { maskBytes } from "./bytes.ts";
export { mayHoldPseudouser, mayNeedMasking } from "./needles.ts";
export { isPseudouser, visibleCount, visibleMembers, type MemberLike } from "./pseudouser.ts";
export {
  ENGLISH,
  functionalMembersOf,
  roomName,
  type NamedMember,
  type NamedRoom,
  type RoomNameWords,
} from "./room-name.ts";
export type { Hidden, PseudouserCounts } from "./rules.ts";
export { MaskingStream } from "./stream.ts";
