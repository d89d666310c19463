import type { RoomId, UserId } from "../../model/ids.ts";
import { stringAt, written, type JsonObject } from "../../model/json.ts";
import type { HeldReads } from "../homeserver/held-answer.ts";
import { PeekedRooms, type EventsPage, type PagePosition } from "../homeserver/peeked-rooms.ts";
import type { SharedLook } from "./look.ts";
import type { Strangers } from "./strangers.ts";
import { PAGE } from "./tail.ts";
import type { IgnoredBy } from "./token-checks.ts";

export interface SharedRoomsParts extends HeldReads {
  readonly look: SharedLook;
  readonly strangers: Strangers;
  readonly ignoredBy: IgnoredBy;
}

/**
 * Rooms whose strangers share one look; anybody else is asked for alone. A shared answer goes only to a token that
 * the homeserver accepts at that moment, without ignored users. Beginnings, which have own data, are not shared.
 */
export class SharedRooms extends PeekedRooms {
  readonly #parts: SharedRoomsParts;

  constructor(parts: SharedRoomsParts) {
    super(parts);
    this.#parts = parts;
  }

  override async events(
    token: string,
    roomId: RoomId,
    position: PagePosition,
    abort: AbortSignal,
  ): Promise<EventsPage | "gone" | "lost"> {
    const page = await this.#shared(token, roomId, position, abort);
    return page ?? super.events(token, roomId, position, abort);
  }

  /** Returns null if the user must be asked for alone. */
  async #shared(token: string, roomId: RoomId, position: PagePosition, abort: AbortSignal): Promise<EventsPage | null> {
    const { look, strangers, ignoredBy } = this.#parts;
    if ((await strangers.of(token, roomId)) === null) return null;
    const page = await (position.limit < PAGE ? look.piece(roomId, position) : look.after(roomId, position.from));
    if (page === null) return null;
    // The read took a while: check again.
    const userId = await strangers.of(token, roomId);
    if (userId === null || page.chunk.length === 0) return userId === null ? null : page;
    const ignored = await ignoredBy(token, userId, abort);
    return ignored === null ? null : withoutIgnored(page, ignored);
  }
}

export interface PollsParts extends Omit<SharedRoomsParts, keyof HeldReads> {
  /** The homeserver's recent answer, for polls that wait. */
  readonly ignoredRecently: IgnoredBy;
}

/** A poll for new events of a room (spec r0.6.1, `GET /events`). */
export interface RoomPoll {
  readonly token: string;
  readonly roomId: RoomId;
  readonly from: string;
  /** Longest wait in milliseconds. */
  readonly wait: number;
  readonly gone: AbortSignal;
}

/** Answers a legacy peeker's poll; null if the user must be asked for alone. @throws EmissaryError if it fails now */
export async function answeredPoll(parts: PollsParts, poll: RoomPoll): Promise<Buffer | null> {
  const { look, strangers, ignoredBy, ignoredRecently } = parts;
  const { token, roomId, from, wait, gone } = poll;
  const asker = await strangers.of(token, roomId);
  if (asker === null) return null;
  const ignoredOf = (userId: UserId) => (wait > 0 ? ignoredRecently : ignoredBy)(token, userId, gone);
  const isToWait = wait > 0 && !look.hasNews(roomId, from);
  // Reports an invalid token at once, not after the wait.
  if (isToWait && (await ignoredOf(asker)) === null) return null;
  const page = await look.next(roomId, from, wait, gone);
  if (page === null) return null;
  if (isToWait && page.chunk.length === 0) return bodyOf(page);
  // It may have waited long: check again.
  const userId = await strangers.of(token, roomId);
  const ignored = userId === null ? null : await ignoredOf(userId);
  return ignored === null ? null : bodyOf(withoutIgnored(page, ignored));
}

/** Serialized pages. A page for many readers is serialized once. */
const bodies = new WeakMap<EventsPage, Buffer>();

function bodyOf(page: EventsPage): Buffer {
  const known = bodies.get(page);
  if (known !== undefined) return known;
  const { chunk, start, end } = page;
  const body = Buffer.from(written({ chunk: [...chunk], start, end }));
  bodies.set(page, body);
  return body;
}

/** Removes ignored users' events but no state, which the room needs (spec, CS API, "Ignoring Users"). */
function withoutIgnored(page: EventsPage, ignored: ReadonlySet<string>): EventsPage {
  if (ignored.size === 0) return page;
  const isShown = (event: JsonObject): boolean =>
    stringAt(event, "state_key") !== null || !ignored.has(stringAt(event, "sender") ?? "");
  return page.chunk.every(isShown) ? page : { ...page, chunk: page.chunk.filter(isShown) };
}
