import { EmissaryError } from "../../model/errors.ts";
import type { UserId } from "../../model/ids.ts";
import { parsedObject } from "../../model/json.ts";
import type { PeekedRooms } from "./contracts.ts";
import { peekFilter, type PeekFilter } from "./filter.ts";

const KEPT = 1_000;
const ALL = peekFilter({});

/** Filters by ID. An ID's filter never changes (spec, CS API, "Filtering"). */
export class Filters {
  readonly #rooms: Pick<PeekedRooms, "filter">;
  readonly #known = new Map<string, PeekFilter>();

  constructor(rooms: Pick<PeekedRooms, "filter">) {
    this.#rooms = rooms;
  }

  /**
   * Returns the request's filter; one that passes everything if none is available.
   * @param owner called only to fetch it
   */
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
    try {
      const userId = await owner();
      const fetched = userId === null ? null : await this.#rooms.filter(token, userId, given);
      if (fetched === null) return ALL;
      const filter = peekFilter(fetched);
      if (this.#known.size >= KEPT) this.#known.clear();
      this.#known.set(key, filter);
      return filter;
    } catch (error) {
      if (error instanceof EmissaryError) return ALL;
      throw error;
    }
  }
}
