import { hash } from "node:crypto";
import type { Link } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import type { RoomLinks } from "../homeserver/room-links.ts";
import { orNull } from "../waiting.ts";

/** Most forward extremities ("heads") kept in a place: the newest. */
const MAX_HEADS = 4;
/** Most events searched between two places, and before the first of them. */
const BETWEEN = 500;
const BEFORE = 100;

/** Hashes an event's ID to a short form. Places must be short, because many share one URL. */
export function headOf(eventId: string): string {
  return hash("sha256", eventId, "base64url").slice(0, 8);
}

/** Returns the events that no other event references, after the given ones have come. */
export function headsAfter(heads: readonly string[], links: readonly Link[]): readonly string[] {
  const followed = new Set(links.flatMap(({ prev }) => prev.map((id) => headOf(id))));
  const all = [...new Set([...heads, ...links.map(({ eventId }) => headOf(eventId))])];
  return all.filter((head) => !followed.has(head)).slice(-MAX_HEADS);
}

/** What came in a room between two places, oldest first. */
export interface Window {
  readonly roomId: RoomId;
  /** What the user was shown. */
  readonly links: readonly Link[];
  readonly heads: readonly string[];
  readonly from: string;
  readonly end: string;
}

export interface Looked {
  readonly isHole: boolean;
  /** The links of the new events, including events not shown to the user if they were fetched. */
  readonly links: readonly Link[];
}

/**
 * Finds out whether the homeserver itself missed events in between, as after a federation outage: the events that it
 * shows then reference events that it lacked. Events hidden only from this user are no hole.
 * @param isWhole false if events were hidden from the user: their links count too
 * @throws EmissaryError as RoomLinks does
 */
export async function holesIn(window: Window, isWhole: boolean, rooms: RoomLinks, abort: AbortSignal): Promise<Looked> {
  const { roomId, heads, from, end, links: shown } = window;
  if (heads.length === 0 || (isWhole && unknownOf(shown, heads).size === 0)) return { isHole: false, links: shown };
  const between = await rooms.before(roomId, { from: end, to: from, limit: BETWEEN }, abort);
  const all = [...(between?.links ?? []).toReversed(), ...shown];
  const links = [...new Map(all.map((link) => [link.eventId, link])).values()];
  const unknown = unknownOf(links, heads);
  if (between === null || unknown.size === 0) return { isHole: false, links };
  // Null if the room's other servers are silent. Events fetched late are listed here too, but only events that were there before link to the heads.
  const before = await orNull(rooms.before(roomId, { from, limit: BEFORE }, abort));
  const known = ancestorsOf(heads, before?.links ?? []);
  return { isHole: [...unknown].some((eventId) => !known.has(eventId)), links };
}

/** Returns the referenced events that are neither listed nor heads. */
function unknownOf(links: readonly Link[], heads: readonly string[]): ReadonlySet<string> {
  const here = new Set(links.map(({ eventId }) => eventId));
  const known = new Set(heads);
  const prev = links.flatMap((link) => link.prev);
  return new Set(prev.filter((eventId) => !here.has(eventId) && !known.has(headOf(eventId))));
}

/** Returns the heads and their known ancestors. */
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
 * Returns the index of the event above the newest hole; null if there is none. Both lists begin with the newest. The
 * list is ordered by depth, so an event just below another is in it if the homeserver has that event.
 * @param has whether the homeserver has an event, which may lie further back
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
    // Without asking, a hole is certain only if no reference is listed and the list goes on below the event.
    if (missing.length > 0 && missing.length === prev.length && depth - 1 > lowest) return at;
    for (const eventId of missing) if (!(await has(eventId))) return at;
  }
  return null;
}
