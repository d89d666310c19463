import { eventRule, nameRule } from "../../model/event-filter.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { objectAt, parsedObject, type JsonObject } from "../../model/json.ts";
import type { PeekedRooms } from "../homeserver/peeked-rooms.ts";
import { orNull } from "../waiting.ts";

/** The part of a client's filter (spec, CS API, "Filtering") that applies to peeked rooms. */
export interface PeekFilter {
  readonly limit: number;
  readonly hasRoom: (roomId: RoomId) => boolean;
  readonly hasState: (event: JsonObject) => boolean;
  readonly hasEvent: (event: JsonObject) => boolean;
}

/** Default and maximum of timeline events. */
const LIMIT = 20;
const MAX_LIMIT = 100;
const KEPT = 1_000;

/** Ignores lazy loading of members: the homeserver does not say whose memberships a peeking client has. */
export function peekFilter(filter: JsonObject): PeekFilter {
  const room = objectAt(filter, "room");
  const timeline = objectAt(room, "timeline");
  const limit = timeline["limit"];
  return {
    limit: typeof limit === "number" && limit >= 1 ? Math.min(Math.floor(limit), MAX_LIMIT) : LIMIT,
    hasRoom: nameRule(room, "rooms"),
    hasState: eventRule(objectAt(room, "state")),
    hasEvent: eventRule(timeline),
  };
}

/** Passes everything. */
export const ALL = peekFilter({});

/** Filters by ID. An ID's filter never changes (spec, CS API, "Filtering"). */
export class Filters {
  readonly #rooms: Pick<PeekedRooms, "filter">;
  readonly #known = new Map<string, PeekFilter>();

  constructor(rooms: Pick<PeekedRooms, "filter">) {
    this.#rooms = rooms;
  }

  /** Returns the request's filter; ALL if none is available. Calls `owner` only to fetch it. */
  async of(
    given: string | null,
    device: string,
    token: string,
    owner: () => Promise<UserId | null>,
  ): Promise<PeekFilter> {
    if (given === null) return ALL;
    if (given.startsWith("{")) return peekFilter(parsedObject(Buffer.from(given)));
    const key = `${device} ${given}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const userId = await orNull(owner());
    const fetched = userId === null ? null : await orNull(this.#rooms.filter(token, userId, given));
    if (fetched === null) return ALL;
    const filter = peekFilter(fetched);
    if (this.#known.size >= KEPT) this.#known.clear();
    this.#known.set(key, filter);
    return filter;
  }
}
