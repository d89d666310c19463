import type { RoomId, UserId } from "../../model/ids.ts";
import { stringAt, type JsonObject } from "../../model/json.ts";
import type { EventsPage, PagePosition, PeekedRooms, RoomBeginning } from "../msc2753/contracts.ts";
import type { Askers } from "./contracts.ts";
import type { SharedLook } from "./look.ts";
import type { Strangers } from "./strangers.ts";
import { PAGE } from "./tail.ts";

export interface SharedRoomsParts {
  /** The rooms as the homeserver shows them to one user. */
  readonly alone: PeekedRooms;
  readonly look: Pick<SharedLook, "after" | "piece">;
  readonly strangers: Pick<Strangers, "of">;
  readonly askers: Pick<Askers, "ignoredBy">;
}

/**
 * Rooms whose strangers share one look; anybody else is asked for alone. A shared answer goes only to a token that
 * the homeserver accepts at that moment, without the users whom its owner ignores.
 */
export class SharedRooms implements PeekedRooms {
  readonly #parts: SharedRoomsParts;

  constructor(parts: SharedRoomsParts) {
    this.#parts = parts;
  }

  /** Not shared: it has the user's membership and account data. */
  beginning(token: string, roomId: RoomId, limit: number, abort: AbortSignal): Promise<RoomBeginning | "gone"> {
    return this.#parts.alone.beginning(token, roomId, limit, abort);
  }

  async events(
    token: string,
    roomId: RoomId,
    position: PagePosition,
    abort: AbortSignal,
  ): Promise<EventsPage | "gone" | "lost"> {
    const page = await this.#shared(token, roomId, position, abort);
    return page ?? this.#parts.alone.events(token, roomId, position, abort);
  }

  membership(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<string | null> {
    return this.#parts.alone.membership(token, roomId, userId, abort);
  }

  member(token: string, roomId: RoomId, userId: UserId, abort: AbortSignal): Promise<JsonObject | null> {
    return this.#parts.alone.member(token, roomId, userId, abort);
  }

  filter(token: string, userId: UserId, filterId: string): Promise<JsonObject | null> {
    return this.#parts.alone.filter(token, userId, filterId);
  }

  /** Returns null if the user must be asked for alone. */
  async #shared(token: string, roomId: RoomId, position: PagePosition, abort: AbortSignal): Promise<EventsPage | null> {
    const { look, strangers, askers } = this.#parts;
    if ((await strangers.of(token, roomId)) === null) return null;
    const page = await (position.limit < PAGE ? look.piece(roomId, position) : look.after(roomId, position.from));
    if (page === null) return null;
    // The read took a while: check again.
    const userId = await strangers.of(token, roomId);
    if (userId === null || page.chunk.length === 0) return userId === null ? null : page;
    const ignored = await askers.ignoredBy(token, userId, abort);
    return ignored === null ? null : withoutIgnored(page, ignored);
  }
}

/** Removes ignored users' events but no state, which the room needs (spec, CS API, "Ignoring Users"). */
export function withoutIgnored(page: EventsPage, ignored: ReadonlySet<string>): EventsPage {
  if (ignored.size === 0) return page;
  const isShown = (event: JsonObject): boolean =>
    stringAt(event, "state_key") !== null || !ignored.has(stringAt(event, "sender") ?? "");
  return page.chunk.every(isShown) ? page : { ...page, chunk: page.chunk.filter(isShown) };
}
