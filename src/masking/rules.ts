import { isPseudouser } from "./pseudouser.ts";

/** Numbers of pseudousers among a room's members, as the homeserver counts them. */
export interface PseudouserCounts {
  readonly joined: number;
  readonly invited: number;
}

/** What masking must know besides the answer. */
export interface Hidden {
  /** Pseudousers whose localpart is not empty. */
  readonly also?: readonly string[];
  /** Pseudousers among the room's members. Counts include them whether or not the answer names them. */
  readonly counts: (roomId: string) => PseudouserCounts;
  /**
   * Users to name instead of pseudousers among the heroes, best first: joined and invited members except the caller.
   * Users already named are skipped.
   */
  readonly heroes?: (roomId: string) => readonly string[];
}

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Events outside the room's history. In their contents the homeserver names users, not other users. */
const EPHEMERAL: ReadonlySet<unknown> = new Set(["m.typing", "m.receipt"]);

export function isEphemeral(value: unknown): boolean {
  return isFields(value) && EPHEMERAL.has(value["type"]) && !("event_id" in value);
}

/** Pseudousers that a list may name because they invite; null if it was too large to search for them. */
export type Spared = ReadonlySet<unknown> | null;

export const NOBODY: Spared = new Set();

/** Whether a list's element names a pseudouser as a member or as a present user. */
export function isHidden(element: unknown, spared: Spared, also: readonly string[] | undefined): boolean {
  if (!isFields(element)) return isOne(element, also);
  const { type, sender, content, user_id: userId } = element;
  if (type === "m.room.member")
    return isOne(element["state_key"], also) && spared !== null && !spared.has(element["state_key"]);
  if (type === "m.presence") return isOne(sender, also) || (isFields(content) && isOne(content["user_id"], also));
  // With a type it is an event, and old events use `user_id` for the sender. A pseudouser's events stay.
  return type === undefined && isOne(userId, also);
}

function isOne(userId: unknown, also: readonly string[] | undefined): boolean {
  return typeof userId === "string" && isPseudouser(userId, also);
}

/**
 * Returns who invites, from the stripped state of an invited room. Inviters stay even if they are pseudousers: the
 * user must see whose invitation it is.
 */
export function invitersIn(events: readonly unknown[], also: readonly string[] | undefined): Spared {
  const invites = events.filter((event) => isInvite(event) && !isHidden(event, NOBODY, also));
  return new Set(invites.map((event) => (event as Fields)["sender"]));
}

function isInvite(event: unknown): boolean {
  if (!isFields(event) || event["type"] !== "m.room.member" || !isFields(event["content"])) return false;
  return event["content"]["membership"] === "invite";
}

/** Masks heroes: IDs in `/sync`, objects with `user_id` in sliding sync. Returns the same list if all stay. */
export function maskHeroes(heroes: readonly unknown[], hidden: Hidden, roomId: string | null): readonly unknown[] {
  const { also, heroes: substitutes } = hidden;
  const visible = heroes.filter((hero) => !isOne(heroIdOf(hero), also) && !isHidden(hero, NOBODY, also));
  if (visible.length === heroes.length) return heroes;
  if (roomId === null) return visible;
  const named = new Set(heroes.map(heroIdOf));
  const more = (substitutes?.(roomId) ?? []).filter((userId) => !named.has(userId) && !isPseudouser(userId, also));
  const isById = heroes.every((hero) => typeof hero === "string");
  const added = [...new Set(more)].slice(0, heroes.length - visible.length);
  return [...visible, ...added.map((userId) => (isById ? userId : { user_id: userId }))];
}

function heroIdOf(hero: unknown): unknown {
  return isFields(hero) ? hero["user_id"] : hero;
}

/** Subtracts the pseudousers from a member count. */
export function less(count: unknown, which: keyof PseudouserCounts, hidden: Hidden, roomId: string): unknown {
  if (typeof count !== "number") return count;
  const uncounted = hidden.counts(roomId)[which];
  return uncounted > 0 ? Math.max(0, count - uncounted) : count;
}

/**
 * Corrects `num_live` of sliding sync (MSC4186), the number of new events at the timeline's end.
 * @param leftOut places of removed events in the original timeline
 */
export function lessLive(live: unknown, length: number, leftOut: readonly number[]): unknown {
  if (typeof live !== "number" || !Number.isInteger(live) || live <= 0) return live;
  return live - leftOut.filter((index) => index >= length - live).length;
}
