import { hash } from "node:crypto";
import type { Link } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { LinksPage, RoomLinks } from "./contracts.ts";

/** Ends of the room's graph that a place keeps. Of more than these the newest. */
const MAX_HEADS = 4;
/** Events between two places, and before the first of them, that are looked through. */
const BETWEEN = 500;
const BEFORE = 100;

/** An event as it stands in a place, which many share a URL's length with. */
export function headOf(eventId: string): string {
  return hash("sha256", eventId, "base64url").slice(0, 8);
}

/** The events that no other hangs on, once these have come after what a place has. */
export function headsAfter(heads: readonly string[], links: readonly Link[]): readonly string[] {
  const followed = new Set(links.flatMap(({ prev }) => prev.map((id) => headOf(id))));
  const all = [...new Set([...heads, ...links.map(({ eventId }) => headOf(eventId))])];
  return all.filter((head) => !followed.has(head)).slice(-MAX_HEADS);
}

/** What came in a room between two places, the oldest first. */
export interface Window {
  readonly roomId: RoomId;
  /** What the user was shown of it. */
  readonly links: readonly Link[];
  readonly heads: readonly string[];
  readonly from: string;
  readonly end: string;
}

/** What a look at a window found. */
export interface Looked {
  readonly isHole: boolean;
  /** How what came hangs together, with what the user was not shown as far as that was looked at. */
  readonly links: readonly Link[];
}

/**
 * Whether the homeserver itself missed events in between, as it does after an outage of federation: then what it shows hangs on events
 * that it never had when it showed them. An event that only this user is not shown is no hole.
 * @param isWhole false where something came that the user was not shown: what that hangs on counts, too
 * @throws EmissaryError as RoomLinks does
 */
export async function holesIn(window: Window, isWhole: boolean, rooms: RoomLinks, abort: AbortSignal): Promise<Looked> {
  const { roomId, heads, from, end, links: shown } = window;
  if (heads.length === 0 || (isWhole && unknownOf(shown, heads).size === 0)) return { isHole: false, links: shown };
  const between = await rooms.before(roomId, { from: end, to: from, limit: BETWEEN }, abort);
  const links = [
    ...new Map([...[...(between?.links ?? [])].reverse(), ...shown].map((link) => [link.eventId, link])).values(),
  ];
  const unknown = unknownOf(links, heads);
  if (between === null || unknown.size === 0) return { isHole: false, links };
  // What is fetched late stands there, too; what was there hangs together with the place's ends.
  const before = await orNull(rooms.before(roomId, { from, limit: BEFORE }, abort));
  const known = ancestorsOf(heads, before?.links ?? []);
  return { isHole: [...unknown].some((eventId) => !known.has(eventId)), links };
}

/** Null also where the homeserver does not answer in time, as it does where the room's other servers are silent. */
export async function orNull(page: Promise<LinksPage | null>): Promise<LinksPage | null> {
  try {
    return await page;
  } catch (error) {
    if (error instanceof EmissaryError) return null;
    throw error;
  }
}

/** What the events hang on that is neither among them nor one of the ends. */
function unknownOf(links: readonly Link[], heads: readonly string[]): ReadonlySet<string> {
  const here = new Set(links.map(({ eventId }) => eventId));
  const known = new Set(heads);
  const prev = links.flatMap((link) => link.prev);
  return new Set(prev.filter((eventId) => !here.has(eventId) && !known.has(headOf(eventId))));
}

/** The ends and all that they hang on, as far as it is known. */
function ancestorsOf(heads: readonly string[], links: readonly Link[]): ReadonlySet<string> {
  const byId = new Map(links.map((link) => [link.eventId, link]));
  const ends = new Set(heads);
  const open = links.filter(({ eventId }) => ends.has(headOf(eventId))).map(({ eventId }) => eventId);
  const found = new Set<string>();
  for (let eventId = open.pop(); eventId !== undefined; eventId = open.pop()) {
    if (found.has(eventId)) continue;
    found.add(eventId);
    open.push(...(byId.get(eventId)?.prev ?? []));
  }
  return found;
}

/**
 * Where the newest hole is below events that begin a list of the homeserver's, the newest first: the place of the event above it; null for
 * none. The list is by depth, so that an event just below another would stand there if the homeserver had it.
 * @param has whether the homeserver has an event that may lie further back
 */
export async function holeIn(
  events: readonly Link[],
  list: readonly Link[],
  has: (eventId: string) => Promise<boolean>,
): Promise<number | null> {
  const here = new Set(list.map(({ eventId }) => eventId));
  const lowest = list.at(-1)?.depth ?? 0;
  for (const [at, { prev, depth }] of events.entries()) {
    const missing = prev.filter((eventId) => !here.has(eventId));
    // Only what hangs on nothing of a list that goes on below it is certain without a question.
    if (missing.length > 0 && missing.length === prev.length && depth - 1 > lowest) return at;
    for (const eventId of missing) if (!(await has(eventId))) return at;
  }
  return null;
}
