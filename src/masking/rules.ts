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
   * Whom to name in place of pseudousers among the heroes, the best first: joined and invited members, without the user who asks.
   * Those who are named already are passed over.
   */
  readonly heroes?: (roomId: string) => readonly string[];
}

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Events that are no part of a room's history: in their contents, users are named by the homeserver, and not by users. */
const EPHEMERAL: ReadonlySet<unknown> = new Set(["m.typing", "m.receipt"]);

export function isEphemeral(value: unknown): boolean {
  return isFields(value) && EPHEMERAL.has(value["type"]) && !("event_id" in value);
}

/** Whom a list may name although they are pseudousers: those who invite; null where it was too large to look for them. */
export type Spared = ReadonlySet<unknown> | null;

export const NOBODY: Spared = new Set();

/** Whether an element of a list is there to name a pseudouser as a member, or as a user who is about. */
export function isHidden(element: unknown, spared: Spared, also: readonly string[] | undefined): boolean {
  if (!isFields(element)) return isOne(element, also);
  const { type, sender, content, user_id: userId } = element;
  if (type === "m.room.member")
    return isOne(element["state_key"], also) && spared !== null && !spared.has(element["state_key"]);
  if (type === "m.presence") return isOne(sender, also) || (isFields(content) && isOne(content["user_id"], also));
  // With a type it is an event, of which old ones call their sender so, too. What a pseudouser says stays.
  return type === undefined && isOne(userId, also);
}

function isOne(userId: unknown, also: readonly string[] | undefined): boolean {
  return typeof userId === "string" && isPseudouser(userId, also);
}

/**
 * Who invites, by the stripped state of a room that the user is invited to. They stay, pseudouser or not: the user has to see whose
 * invitation it is.
 */
export function invitersIn(events: readonly unknown[], also: readonly string[] | undefined): Spared {
  const invites = events.filter((event) => isInvite(event) && !isHidden(event, NOBODY, also));
  return new Set(invites.map((event) => (event as Fields)["sender"]));
}

function isInvite(event: unknown): boolean {
  if (!isFields(event) || event["type"] !== "m.room.member" || !isFields(event["content"])) return false;
  return event["content"]["membership"] === "invite";
}

/** Heroes are user IDs in `/sync`, and objects with `user_id` in sliding sync. The same list where all stay. */
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

/** A count of members without the pseudousers in it. */
export function less(count: unknown, which: keyof PseudouserCounts, hidden: Hidden, roomId: string): unknown {
  if (typeof count !== "number") return count;
  const uncounted = hidden.counts(roomId)[which];
  return uncounted > 0 ? Math.max(0, count - uncounted) : count;
}

/**
 * `num_live` of sliding sync (MSC4186): how many of the timeline's last events are new. Those that are left out no longer count.
 * @param leftOut their places in the timeline as it came
 */
export function lessLive(live: unknown, length: number, leftOut: readonly number[]): unknown {
  if (typeof live !== "number" || !Number.isInteger(live) || live <= 0) return live;
  return live - leftOut.filter((index) => index >= length - live).length;
}
