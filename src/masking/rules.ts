import { isPseudouser } from "./pseudouser.ts";

/** How many of a room's members, as the homeserver counts them, are pseudousers. */
export interface PseudouserCounts {
  readonly joined: number;
  readonly invited: number;
}

/** What masking has to know besides the answer. */
export interface Hidden {
  /** Pseudousers whose localpart is not empty. */
  readonly also?: readonly string[];
  /** Pseudousers among a room's members. An answer's counts include them whether or not it names them. */
  readonly counts: (roomId: string) => PseudouserCounts;
  /**
   * Whom to name in place of pseudousers among `m.heroes`, the best first: joined and invited members, without the user who asks.
   * Those who are named already are passed over.
   */
  readonly heroes?: (roomId: string) => readonly string[];
}

/** Masks one value; the same value where nothing was to mask. `roomId` is that of the room around it, where the answer tells. */
export type Rule = (value: unknown, hidden: Hidden, roomId: string | null) => unknown;

type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether an element of a list of events is a pseudouser's membership. */
export function isMembership(event: unknown, also: readonly string[] | undefined): boolean {
  if (!isFields(event) || event["type"] !== "m.room.member") return false;
  return typeof event["state_key"] === "string" && isPseudouser(event["state_key"], also);
}

/** A list of events. */
export function maskEvents(events: unknown, { also }: Hidden): unknown {
  return Array.isArray(events) ? kept(events, (event) => !isMembership(event, also)) : events;
}

/**
 * Stripped state of a room that the user is invited to. Who invites stays, pseudouser or not: the user has to see whose
 * invitation it is.
 */
export const maskStripped: Rule = (events, { also }) => {
  if (!Array.isArray(events)) return events;
  const inviters = events
    .filter((event) => isInvite(event) && !isMembership(event, also))
    .map((event) => (event as Fields)["sender"]);
  return kept(events, (event) => !isMembership(event, also) || inviters.includes((event as Fields)["state_key"]));
};

/** `summary` of a room in `/sync`. */
export const maskSyncSummary: Rule = (summary, hidden, roomId) => {
  if (!isFields(summary)) return summary;
  return changed(summary, {
    "m.heroes": maskHeroes(summary["m.heroes"], hidden, roomId),
    ...maskCounts(summary, ["m.joined_member_count", "m.invited_member_count"], hidden, roomId),
  });
};

/** A room as `/room_summary`, `/hierarchy` and `/publicRooms` describe it. */
export const maskRoomSummary: Rule = (room, hidden) => {
  if (!isFields(room) || typeof room["room_id"] !== "string") return room;
  return changed(room, maskCounts(room, ["num_joined_members"], hidden, room["room_id"]));
};

/** A room in an answer of sliding sync (MSC4186). */
export const maskSlidingRoom: Rule = (room, hidden, roomId) => {
  if (!isFields(room)) return room;
  const timeline = maskEvents(room["timeline"], hidden);
  return changed(room, {
    heroes: maskHeroes(room["heroes"], hidden, roomId),
    ...maskCounts(room, ["joined_count", "invited_count"], hidden, roomId),
    required_state: maskEvents(room["required_state"], hidden),
    timeline,
    num_live: maskLive(room["num_live"], room["timeline"], timeline),
    invite_state: maskStripped(room["invite_state"], hidden, roomId),
    stripped_state: maskStripped(room["stripped_state"], hidden, roomId),
  });
};

/** How many of the timeline's last events are new: those among them that are left out no longer count. */
function maskLive(live: unknown, before: unknown, after: unknown): unknown {
  if (typeof live !== "number" || !Number.isInteger(live) || live <= 0) return live;
  if (!Array.isArray(before) || !Array.isArray(after)) return live;
  const remaining = new Set<unknown>(after);
  return live - before.slice(-live).filter((event) => !remaining.has(event)).length;
}

/** Heroes are user IDs in `/sync`, and objects with `user_id` in sliding sync. */
function maskHeroes(heroes: unknown, { also, heroes: substitutes }: Hidden, roomId: string | null): unknown {
  if (!Array.isArray(heroes)) return heroes;
  const visible = kept(heroes, (hero) => !isPseudouser(heroIdOf(hero), also));
  if (visible === heroes || roomId === null) return visible;
  const named = new Set(heroes.map(heroIdOf));
  const more = (substitutes?.(roomId) ?? []).filter((userId) => !named.has(userId) && !isPseudouser(userId, also));
  const isById = heroes.every((hero) => typeof hero === "string");
  const added = [...new Set(more)].slice(0, heroes.length - visible.length);
  return [...visible, ...added.map((userId) => (isById ? userId : { user_id: userId }))];
}

function heroIdOf(hero: unknown): string {
  const userId = isFields(hero) ? hero["user_id"] : hero;
  return typeof userId === "string" ? userId : "";
}

/** Counts are there only where they have changed. */
function maskCounts(fields: Fields, keys: readonly string[], hidden: Hidden, roomId: string | null): Fields {
  if (roomId === null || !keys.some((key) => key in fields)) return {};
  const { joined, invited } = hidden.counts(roomId);
  const masked = keys.map((key, index) => [key, less(fields[key], index === 0 ? joined : invited)] as const);
  return Object.fromEntries(masked);
}

function less(count: unknown, hidden: number): unknown {
  return typeof count === "number" && hidden > 0 ? Math.max(0, count - hidden) : count;
}

function isInvite(event: unknown): boolean {
  if (!isFields(event) || event["type"] !== "m.room.member" || !isFields(event["content"])) return false;
  return event["content"]["membership"] === "invite";
}

/** The list without some elements; the same list where all stay. */
function kept(list: readonly unknown[], isKept: (element: unknown) => boolean): readonly unknown[] {
  return list.every(isKept) ? list : list.filter(isKept);
}

/** The object with other values for keys that it has; the same object where all values are the same. */
export function changed(object: Fields, values: Fields): Fields {
  const news = Object.entries(values).filter(([key, value]) => Object.hasOwn(object, key) && object[key] !== value);
  return news.length === 0 ? object : { ...object, ...Object.fromEntries(news) };
}
