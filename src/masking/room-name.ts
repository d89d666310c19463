import { isPseudouser } from "./pseudouser.ts";

/** How many members a name spells out: "at least 5 where possible", says the specification. */
const SPELT_OUT = 5;

export interface NamedMember {
  readonly userId: string;
  /** `displayname` of the member's event. */
  readonly displayName?: string | null | undefined;
}

/** What a client knows of a room when it needs a name for it. */
export interface NamedRoom {
  /** The user that the name is for. */
  readonly me: string;
  /** `name` of `m.room.name`. */
  readonly name?: string | null | undefined;
  /** `alias` of `m.room.canonical_alias`. */
  readonly canonicalAlias?: string | null | undefined;
  /** `m.heroes`, or all joined and invited members where they are known. */
  readonly heroes: readonly NamedMember[];
  /** `m.joined_member_count` as the homeserver gave it. */
  readonly joined: number;
  /** `m.invited_member_count` as the homeserver gave it. */
  readonly invited: number;
  /** Those who have left, newest first: whom the room was with, where nobody else is named. */
  readonly former?: readonly NamedMember[] | undefined;
  /** Bots that are no party to the conversation (MSC4171): see {@link functionalMembersOf}. */
  readonly functionalMembers?: readonly string[] | undefined;
  /** Pseudousers whose localpart is not empty. */
  readonly also?: readonly string[] | undefined;
  /**
   * How many of those counted in `joined` and `invited` are pseudousers or functional members. Where left out, those among the
   * heroes: exact for rooms of up to five others. 0 where the counts are masked already.
   */
  readonly uncounted?: number | undefined;
}

/** A language. The specification wants composed names in the user's own. */
export interface RoomNameWords {
  /** Joins names; `others` is how many more there are, often 0. One of the two is never empty. */
  list(names: readonly string[], others: number): string;
  /** A room that nobody else is in; `was` names whom it was with, where that is known. */
  empty(was: string | null): string;
}

export const ENGLISH: RoomNameWords = {
  list(names, others) {
    const parts = others === 0 ? names : [...names, others === 1 ? "1 other" : `${others} others`];
    const last = parts.at(-1) ?? "";
    return parts.length < 2 ? last : `${parts.slice(0, -1).join(", ")} and ${last}`;
  },
  empty: (was) => (was === null ? "Empty Room" : `Empty Room (was ${was})`),
};

/**
 * The name of a room as the specification calculates it (CS API, "Calculating the display name for a room"), without pseudousers
 * and functional members: they are neither spelt out nor counted.
 */
export function roomName(room: NamedRoom, words: RoomNameWords = ENGLISH): string {
  if (room.name) return room.name;
  if (room.canonicalAlias) return room.canonicalAlias;

  const { me, functionalMembers = [], also = [] } = room;
  const isNamed = ({ userId }: NamedMember): boolean =>
    userId !== me && !isPseudouser(userId, also) && !functionalMembers.includes(userId);
  const heroes = room.heroes.filter(isNamed);
  const left = room.heroes.filter(({ userId }) => userId !== me).length - heroes.length;
  const total = Math.max(0, room.joined + room.invited - (room.uncounted ?? left));

  if (total <= 1) {
    const past = heroes.length > 0 ? heroes : (room.former ?? []).filter(isNamed);
    return words.empty(past.length === 0 ? null : listed(past, past.length, words));
  }
  return listed(heroes, Math.max(heroes.length, total - 1), words);
}

/** `service_members` in the content of `io.element.functional_members` (MSC4171), or nobody where it has another form. */
export function functionalMembersOf(content: unknown): string[] {
  if (typeof content !== "object" || content === null || !("service_members" in content)) return [];
  const { service_members: members } = content;
  return Array.isArray(members) ? members.filter((member) => typeof member === "string") : [];
}

function listed(members: readonly NamedMember[], total: number, words: RoomNameWords): string {
  const spelt = members.slice(0, SPELT_OUT);
  return words.list(
    spelt.map((member) => displayNameOf(member, members)),
    total - spelt.length,
  );
}

/** CS API, "Calculating the display name for a user": the ID stands behind a name that two bear. */
function displayNameOf({ userId, displayName }: NamedMember, among: readonly NamedMember[]): string {
  if (!displayName) return userId;
  const isShared = among.some((other) => other.userId !== userId && other.displayName === displayName);
  return isShared ? `${displayName} (${userId})` : displayName;
}
