/** A member as programs represent one: a user ID, an object with it, or the `m.room.member` event. */
export type MemberLike = string | { readonly userId: string } | { readonly state_key: string };

/**
 * Whether a user is a server's pseudouser: the empty localpart of MSC1777, on any server.
 * @param also pseudousers with other names, for homeservers that refuse an empty localpart. Such a name looks like a
 * person's, so it must be known
 */
export function isPseudouser(userId: string, also: readonly string[] = []): boolean {
  return (userId.startsWith("@:") && userId.length > 2) || also.includes(userId);
}

/** Returns the members that a client shows: all but pseudousers, in order. */
export function visibleMembers<M extends MemberLike>(members: Iterable<M>, also: readonly string[] = []): M[] {
  return [...members].filter((member) => !isPseudouser(userIdOf(member), also));
}

/**
 * Returns the member count that a client shows.
 * @param counted the homeserver's count (`m.joined_member_count`)
 * @param members known members with the counted membership; with lazy loading these are not all
 */
export function visibleCount(counted: number, members: Iterable<MemberLike>, also: readonly string[] = []): number {
  const pseudousers = new Set([...members].map(userIdOf).filter((userId) => isPseudouser(userId, also)));
  return Math.max(0, counted - pseudousers.size);
}

function userIdOf(member: MemberLike): string {
  if (typeof member === "string") return member;
  return "userId" in member ? member.userId : member.state_key;
}
