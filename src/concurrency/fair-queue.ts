import type { RoomId } from "../model/ids.ts";
import { remember } from "./remember.ts";

/** A room with work due, and the caller who waits for it; null if unknown. */
export interface Waiting {
  readonly roomId: RoomId;
  readonly who: string | null;
}

/** Number of callers whose last turn is remembered. */
const REMEMBERED = 10_000;

/** Orders callers by their last turn. A caller who wants a hundred rooms does not delay one who wants a single room. */
export class FairQueue {
  readonly #served = new Map<string, number>();
  #turn = 0;

  /** Picks rooms from `waiting`, which is in order of arrival. */
  pick(waiting: readonly Waiting[], limit: number): readonly RoomId[] {
    const rooms: RoomId[] = [];
    const left = Map.groupBy(waiting, ({ who, roomId }) => who ?? roomId);
    while (rooms.length < limit && left.size > 0) {
      const who = [...left.keys()].reduce((one, other) => (this.#lastOf(other) < this.#lastOf(one) ? other : one));
      const [first, ...others] = left.get(who) ?? [];
      if (first !== undefined) rooms.push(first.roomId);
      if (others.length === 0) left.delete(who);
      else left.set(who, others);
      remember(this.#served, who, (this.#turn += 1), REMEMBERED);
    }
    return rooms;
  }

  #lastOf(who: string): number {
    return this.#served.get(who) ?? 0;
  }
}
