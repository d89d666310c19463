import { NOBODY, type PseudouserCounts, type Spared } from "./rules.ts";

/**
 * Where in an answer a value stands, as far as masking goes by it. There is no list of answers: whatever names a pseudouser is left
 * out wherever it stands, and these are the few keys that say more. Read by two: `answer.ts` for parsed JSON, `stream.ts` for bytes.
 */
export interface Place {
  /** The room around it, where a key is its ID. */
  readonly roomId: string | null;
  /** Contents of events are users' own words, and stay. Here they are not: typing and receipts are the homeserver's to tell. */
  readonly isTold: boolean;
  /** Keys are users by whom what they said is put into groups (`/search`). */
  readonly isGrouped: boolean;
  /** In an element of a list. Rooms in lists count by their own key. */
  readonly isListed: boolean;
  /** The list to come is stripped state: it says who invites. */
  readonly isStripped: boolean;
  readonly spared: Spared;
}

export const TOP: Place = {
  roomId: null,
  isTold: false,
  isGrouped: false,
  isListed: false,
  isStripped: false,
  spared: NOBODY,
};

/** What is nested deeper is left alone. */
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
const TOLD: ReadonlySet<string> = new Set(["ephemeral", "receipts", "typing"]);
const STRIPPED: ReadonlySet<string> = new Set([
  "invite_state",
  "knock_state",
  "stripped_state",
  "invite_room_state",
  "knock_room_state",
]);

/** Keys that say something of what is under them. */
export const TELLING_KEYS: readonly string[] = [
  ...COUNTS.keys(),
  ...CONTENTS,
  ...HEROES,
  ...TOLD,
  ...STRIPPED,
  ...["groups", "room_id", "timeline", "num_live"],
];

/** What is counted under a key; null for other keys. */
export function countedBy(key: string, { isListed }: Place): keyof PseudouserCounts | null {
  return isListed && key !== LISTED_COUNT ? null : (COUNTS.get(key) ?? null);
}

export function namesHeroes(key: string): boolean {
  return HEROES.has(key);
}

/** Where a member of an object stands; null where nothing in it is masked. */
export function placeBelow(place: Place, key: string): Place | null {
  if (CONTENTS.has(key)) return place.isTold ? place : null;
  if (key.startsWith("!")) return { ...place, roomId: key };
  if (TOLD.has(key)) return place.isTold ? place : { ...place, isTold: true };
  if (STRIPPED.has(key)) return { ...place, isStripped: true };
  return key === "groups" ? { ...place, isGrouped: true } : place;
}
