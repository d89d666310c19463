import { NOBODY, type PseudouserCounts, type Spared } from "./rules.ts";

/**
 * What the position of a value in an answer means for masking. There is no list of endpoints: names of pseudousers
 * are removed anywhere, and only a few keys mean more. For `answer.ts` (parsed JSON) and `stream.ts` (bytes).
 */
export interface Place {
  /** The room around the value, if a key is its ID. */
  readonly roomId: string | null;
  /** Whether contents here are the homeserver's (typing, receipts). Contents of events are users' and stay. */
  readonly isServerContent: boolean;
  /** Whether the keys are users by whom messages are grouped (`/search`). */
  readonly isGrouped: boolean;
  /** Whether it is in a list's element. Rooms in lists have their own key for counts. */
  readonly isListed: boolean;
  /** Whether the next list is stripped state, which tells who invites. */
  readonly isStripped: boolean;
  readonly spared: Spared;
}

export const TOP: Place = {
  roomId: null,
  isServerContent: false,
  isGrouped: false,
  isListed: false,
  isStripped: false,
  spared: NOBODY,
};

/** Deeper values stay unchanged. */
export const MAX_DEPTH = 48;

const LISTED_COUNT = "num_joined_members";
const COUNTS: ReadonlyMap<string, keyof PseudouserCounts> = new Map([
  ["m.joined_member_count", "joined"],
  ["m.invited_member_count", "invited"],
  ["joined_count", "joined"],
  ["invited_count", "invited"],
  [LISTED_COUNT, "joined"],
]);
const CONTENTS: ReadonlySet<string> = new Set(["content", "prev_content"]);
const HEROES: ReadonlySet<string> = new Set(["m.heroes", "heroes"]);
const SERVER_CONTENTS: ReadonlySet<string> = new Set(["ephemeral", "receipts", "typing"]);
const STRIPPED: ReadonlySet<string> = new Set([
  "invite_state",
  "knock_state",
  "stripped_state",
  "invite_room_state",
  "knock_room_state",
]);

/** Keys that mean something for the values below. */
export const KEYS_WITH_MEANING: readonly string[] = [
  ...COUNTS.keys(),
  ...CONTENTS,
  ...HEROES,
  ...SERVER_CONTENTS,
  ...STRIPPED,
  ...["groups", "room_id", "timeline", "num_live"],
];

/** Returns what the key counts; null for other keys. */
export function countedBy(key: string, { isListed }: Place): keyof PseudouserCounts | null {
  return isListed && key !== LISTED_COUNT ? null : (COUNTS.get(key) ?? null);
}

export function namesHeroes(key: string): boolean {
  return HEROES.has(key);
}

/** Returns the place of an object's member; null if nothing in it is masked. */
export function placeBelow(place: Place, key: string): Place | null {
  if (CONTENTS.has(key)) return place.isServerContent ? place : null;
  if (key.startsWith("!")) return { ...place, roomId: key };
  if (SERVER_CONTENTS.has(key)) return place.isServerContent ? place : { ...place, isServerContent: true };
  if (STRIPPED.has(key)) return { ...place, isStripped: true };
  return key === "groups" ? { ...place, isGrouped: true } : place;
}
