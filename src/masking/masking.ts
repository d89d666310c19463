/** `matrix-emissary/masking`: hides pseudousers (MSC1777) in member lists, counts and room names, also in browsers. */
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
