import type { RoomId } from "../model/ids.ts";
import { remember } from "./remember.ts";

/** A room in which something is to be done now, and who waits for it; null where nobody is known to. */
export interface Waiting {
  readonly roomId: RoomId;
  readonly who: string | null;
}

/** Those that were served last are remembered. */
const REMEMBERED = 10_000;

/**
 * In which order those who wait are served: who had no turn for the longest time comes next. So one who wants a hundred rooms holds up
 * nobody who wants one.
 */
export class FairQueue {
  readonly #served = new Map<string, number>();
  #turn = 0;

  /** Picks some of those who wait, which stand in the order in which they came. */
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
