import type { Link } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { stringAt } from "../../model/json.ts";
import type { PeekedRooms, RoomBeginning } from "../homeserver/peeked-rooms.ts";
import type { LinksPage, RoomLinks } from "../homeserver/room-links.ts";
import { orNull } from "../waiting.ts";
import { headsAfter, holeIn } from "./holes.ts";

/** Events searched for holes: the most that a filter can ask for. */
const WINDOW = 100;
/** Most events looked up one by one. */
const MAX_QUESTIONS = 10;

export interface Beginner {
  readonly rooms: Pick<PeekedRooms, "beginning">;
  readonly links: RoomLinks;
  readonly token: string;
  readonly roomId: RoomId;
  readonly limit: number;
  readonly abort: AbortSignal;
}

export interface Beginning extends RoomBeginning {
  /** The events that no other references. */
  readonly heads: readonly string[];
}

/**
 * Returns a room's first answer: its newest events down to the first hole. The search makes the homeserver fill holes
 * if another server still has the events. @throws EmissaryError as PeekedRooms and RoomLinks do
 */
export async function wholeBeginning(beginner: Beginner): Promise<Beginning | "gone"> {
  const { rooms, token, roomId, limit, abort } = beginner;
  for (let isFirst = true; ; isFirst = false) {
    const beginning = await rooms.beginning(token, roomId, limit, abort);
    if (beginning === "gone") return "gone";
    try {
      const page = beginning.membership === "join" ? null : await listOf(beginner, beginning);
      if (page === null) return { ...beginning, heads: [] };
      const newest = page.links.slice(0, limit);
      if (isFirst && isFilled(beginning, newest)) {
        beginning.rest?.drop();
        continue;
      }
      const heads = headsAfter([], page.links.toReversed());
      const hole = await holeIn(newest, page.links, questions(beginner));
      return hole === null ? { ...beginning, heads } : { ...(await above(beginner, beginning, page, hole)), heads };
    } catch (error) {
      beginning.rest?.drop();
      throw error;
    }
  }
}

/** If other servers keep the homeserver waiting, its own events must do. */
async function listOf({ links, roomId, abort }: Beginner, { start, end }: RoomBeginning): Promise<LinksPage | null> {
  const page = await orNull(links.before(roomId, { from: end, limit: WINDOW }, abort));
  if (page !== null || start === null) return page;
  return links.before(roomId, { from: end, to: start, limit: WINDOW }, abort);
}

/** Whether the list has events that were not told: they have just arrived, or are hidden from this user. */
function isFilled({ events }: RoomBeginning, links: readonly Link[]): boolean {
  const told = new Set(events.map((event) => stringAt(event, "event_id")));
  return links.some(({ eventId }) => !told.has(eventId));
}

function questions({ links, roomId, abort }: Beginner): (eventId: string) => Promise<boolean> {
  let asked = 0;
  return async (eventId) => {
    asked += 1;
    return asked <= MAX_QUESTIONS && links.has(roomId, eventId, abort);
  };
}

/**
 * Returns the beginning without the events below the hole. Reads back from right after the event above it: the
 * homeserver first tries to fill a hole within the requested span, and fills one at its very end later.
 */
async function above(
  { links, roomId, abort }: Beginner,
  beginning: RoomBeginning,
  page: LinksPage,
  hole: number,
): Promise<RoomBeginning> {
  const below = new Set(page.links.slice(hole + 1).map(({ eventId }) => eventId));
  const events = beginning.events.filter((event) => !below.has(stringAt(event, "event_id") ?? ""));
  const after = hole === 0 ? null : await orNull(links.before(roomId, { from: beginning.end, limit: hole }, abort));
  return { ...beginning, events, start: after?.end ?? beginning.end };
}
