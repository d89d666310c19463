import type { Link } from "../../model/event-links.ts";
import type { RoomId } from "../../model/ids.ts";
import { stringAt } from "../../model/json.ts";
import type { LinksPage, PeekedRooms, RoomBeginning, RoomLinks } from "./contracts.ts";
import { headsAfter, holeIn, orNull } from "./holes.ts";

/** Events looked through for holes: as many as a filter lets be told. */
const WINDOW = 100;
/** Events asked for one by one, whether the homeserver has them. */
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
  /** The events that no other hangs on. */
  readonly heads: readonly string[];
}

/**
 * A room as it is told at first: its newest events as far as none is missing between them. Looking for holes has the homeserver fill
 * them where another server still has the events.
 * @throws EmissaryError as PeekedRooms and RoomLinks do
 */
export async function wholeBeginning(beginner: Beginner): Promise<Beginning | "gone"> {
  const { rooms, token, roomId, limit, abort } = beginner;
  const ask = (): Promise<RoomBeginning | "gone"> => rooms.beginning(token, roomId, limit, abort);
  let beginning = await ask();
  try {
    if (beginning === "gone" || beginning.membership === "join") return withHeads(beginning, []);
    let page = await listOf(beginner, beginning);
    if (page !== null && isFilled(beginning, page.links.slice(0, limit))) {
      beginning.rest?.drop();
      beginning = await ask();
      if (beginning === "gone" || beginning.membership === "join") return withHeads(beginning, []);
      page = await listOf(beginner, beginning);
    }
    if (page === null) return withHeads(beginning, []);
    const heads = headsAfter([], [...page.links].reverse());
    const hole = await holeIn(page.links.slice(0, limit), page.links, questions(beginner));
    return hole === null ? { ...beginning, heads } : { ...(await above(beginner, beginning, page, hole)), heads };
  } catch (error) {
    if (beginning !== "gone") beginning.rest?.drop();
    throw error;
  }
}

/** Where other servers let the homeserver wait, what it has itself must do. */
async function listOf({ links, roomId, abort }: Beginner, { start, end }: RoomBeginning): Promise<LinksPage | null> {
  const page = await orNull(links.before(roomId, { from: end, limit: WINDOW }, abort));
  if (page !== null || start === null) return page;
  return links.before(roomId, { from: end, to: start, limit: WINDOW }, abort);
}

function withHeads(beginning: RoomBeginning | "gone", heads: readonly string[]): Beginning | "gone" {
  return beginning === "gone" ? beginning : { ...beginning, heads };
}

/** Whether the list has other events than the told ones: the homeserver has just got them, or does not show them to this user. */
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
 * The beginning from the event above the hole on. It is read back from right after that event: a homeserver that finds a hole within what it
 * is asked for tries to fill it before it answers, and one at the very end of it later.
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
