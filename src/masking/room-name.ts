import { isPseudouser } from "./pseudouser.ts";

/** Members that a name spells out: "at least 5 where possible", says the specification. */
const SPELT_OUT = 5;

export interface NamedMember {
  readonly userId: string;
  /** `displayname` in the member's event. */
  readonly displayName?: string | null | undefined;
}

/** What a client knows of a room that needs a name. */
export interface NamedRoom {
  /** The user for whom the name is. */
  readonly me: string;
  /** `name` of `m.room.name`. */
  readonly name?: string | null | undefined;
  /** `alias` of `m.room.canonical_alias`. */
  readonly canonicalAlias?: string | null | undefined;
  /** `m.heroes`, or all joined and invited members if they are known. */
  readonly heroes: readonly NamedMember[];
  /** The homeserver's `m.joined_member_count`. */
  readonly joined: number;
  /** The homeserver's `m.invited_member_count`. */
  readonly invited: number;
  /** Former members, newest first, to name if nobody else is named. */
  readonly former?: readonly NamedMember[] | undefined;
  /** Bots that take no part in the conversation (MSC4171): see {@link functionalMembersOf}. */
  readonly functionalMembers?: readonly string[] | undefined;
  /** Pseudousers whose localpart is not empty. */
  readonly also?: readonly string[] | undefined;
  /**
   * Pseudousers and functional members included in `joined` and `invited`. Default: those among the heroes, which is
   * exact for rooms of up to five others. 0 if the counts are masked already.
   */
  readonly uncounted?: number | undefined;
}

/** A language. The specification wants composed names in the user's own. */
export interface RoomNameWords {
  /** Joins names; `others` is how many more there are, often 0. At least one name or one other is given. */
  list(names: readonly string[], others: number): string;
  /** Names a room that nobody else is in; `was` names its former members, if known. */
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
 * Returns the room's name as the specification calculates it (CS API, "Calculating the display name for a room"),
 * without naming or counting pseudousers and functional members.
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

/** Returns `service_members` of an `io.element.functional_members` content (MSC4171); nobody if it is malformed. */
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

/** Appends the ID to a name that two members share (CS API, "Calculating the display name for a user"). */
function displayNameOf({ userId, displayName }: NamedMember, among: readonly NamedMember[]): string {
  if (!displayName) return userId;
  const isShared = among.some((other) => other.userId !== userId && other.displayName === displayName);
  return isShared ? `${displayName} (${userId})` : displayName;
}
