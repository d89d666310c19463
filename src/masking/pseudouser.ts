/** A member as programs hold one: a user ID, an object with it, or the `m.room.member` event. */
export type MemberLike = string | { readonly userId: string } | { readonly state_key: string };

/**
 * Tells whether a user is a server's pseudouser: the empty localpart of MSC1777 on any server.
 * @param also pseudousers that bear another name, because their homeserver refuses an empty localpart. Such a name cannot be told
 * from a person's, so it has to be known.
 */
export function isPseudouser(userId: string, also: readonly string[] = []): boolean {
  return (userId.startsWith("@:") && userId.length > 2) || also.includes(userId);
}

/** The members that a client shows: all but pseudousers, in their order. */
export function visibleMembers<M extends MemberLike>(members: Iterable<M>, also: readonly string[] = []): M[] {
  return [...members].filter((member) => !isPseudouser(userIdOf(member), also));
}

/**
 * What a client shows as the number of members.
 * @param counted as the homeserver counts them (`m.joined_member_count`)
 * @param members those known with the membership that was counted; with lazy loading these are not all
 */
export function visibleCount(counted: number, members: Iterable<MemberLike>, also: readonly string[] = []): number {
  const pseudousers = new Set([...members].map(userIdOf).filter((userId) => isPseudouser(userId, also)));
  return Math.max(0, counted - pseudousers.size);
}

function userIdOf(member: MemberLike): string {
  if (typeof member === "string") return member;
  return "userId" in member ? member.userId : member.state_key;
}
