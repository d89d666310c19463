import type { Clock } from "../../model/clock.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { HomeserverQueries, ReconcileStore } from "./contracts.ts";

/** Whether the homeserver delivers what happens. */
export type Delivery =
  /** It does, or nothing happened that it could deliver. */
  | { readonly state: "flowing" }
  /** Something happened and did not come; we have asked for it. */
  | { readonly state: "silent"; readonly since: number; readonly cause: string | null }
  /** It did not come although we asked: an operator has to look. */
  | { readonly state: "stalled"; readonly since: number; readonly cause: string | null };

/** An event is given this long to reach us before its absence means anything, milliseconds. */
const GRACE_MS = 30_000;
/** What happens just now is here within this time, where nothing is held back. */
const MOMENTS_MS = 5_000;
/** Rooms asked in one look. */
const ROOMS = 5;

export interface DeliveryParts {
  readonly queries: Pick<HomeserverQueries, "newestEvent" | "ping">;
  readonly store: Pick<ReconcileStore, "liveliest">;
  readonly clock: Clock;
  /** Whether an event has come to us; certain for those that came lately. */
  readonly knows: (eventId: EventId) => boolean;
}

/**
 * Looks whether the homeserver still delivers. That it stops without a word is a known fault (its stream position sticks;
 * matrix-org/synapse#1834), and a quiet appservice looks just like one with nothing to do. So the rooms that brought something
 * lately are asked for their newest event: if that did not come, and has had time to, it is missing. Then we have the
 * homeserver call us, which makes it try again at once; if the next look finds the same, delivery is stalled.
 * Times are not compared: events carry the clock of the server that made them.
 */
export class StallDetector {
  readonly #parts: DeliveryParts;
  #delivery: Delivery = { state: "flowing" };

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  get delivery(): Delivery {
    return this.#delivery;
  }

  /** One look. @throws EmissaryError where the homeserver cannot be asked; the verdict is then the one before. */
  async look(abort: AbortSignal): Promise<Delivery> {
    const { queries, clock, knows } = this.#parts;
    const seenAt = clock.now();
    const unknown = await this.#unknownEvents(abort);
    if (unknown.length > 0) await clock.sleep(GRACE_MS, abort);
    if (abort.aborted) return this.#delivery;
    if (unknown.every((eventId) => knows(eventId))) {
      this.#delivery = { state: "flowing" };
    } else {
      const cause = await queries.ping(abort);
      const before = this.#delivery;
      this.#delivery =
        before.state === "flowing"
          ? { state: "silent", since: seenAt, cause }
          : { state: "stalled", since: before.since, cause };
    }
    return this.#delivery;
  }

  /**
   * Whether what the homeserver sends is from now: what is the newest in the rooms where most happens, beside one of them, has come, or
   * comes within moments. Then whatever of that one has not come does not come any more.
   */
  async isBeyond(except: RoomId, abort: AbortSignal): Promise<boolean> {
    const { store, clock, knows } = this.#parts;
    if ((await store.liveliest(ROOMS)).every((roomId) => roomId === except)) return false;
    const unknown = await this.#unknownEvents(abort, except);
    if (unknown.length > 0) await clock.sleep(MOMENTS_MS, abort);
    return unknown.every((eventId) => knows(eventId));
  }

  async #unknownEvents(abort: AbortSignal, except: RoomId | null = null): Promise<readonly EventId[]> {
    const { queries, store, knows } = this.#parts;
    const unknown: EventId[] = [];
    for (const roomId of await store.liveliest(ROOMS)) {
      if (roomId === except) continue;
      const eventId = await queries.newestEvent(roomId, abort);
      if (eventId !== null && !knows(eventId)) unknown.push(eventId);
    }
    return unknown;
  }
}
