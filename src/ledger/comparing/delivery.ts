import type { Clock } from "../../model/clock.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { SqliteReconcileStore } from "../store/comparing.ts";
import type { HomeserverAnswers } from "./homeserver-queries.ts";

/** Whether the homeserver delivers new events. */
export type Delivery =
  /** It delivers, or there was nothing to deliver. */
  | { readonly state: "flowing" }
  /** An event did not arrive; we have asked for it. */
  | { readonly state: "silent"; readonly since: number; readonly cause: string | null }
  /** It did not arrive although we asked: an operator must look. */
  | { readonly state: "stalled"; readonly since: number; readonly cause: string | null };

/** Time for an event to reach us before its absence means anything, in milliseconds. */
const GRACE_MS = 30_000;
/** Time in which a new event arrives if none are queued, in milliseconds. */
const MOMENTS_MS = 5_000;
/** Rooms queried in one look. */
const ROOMS = 5;

export interface DeliveryParts {
  readonly queries: Pick<HomeserverAnswers, "newestEvent" | "ping">;
  readonly store: Pick<SqliteReconcileStore, "liveliest">;
  readonly clock: Clock;
  /** Returns whether an event has reached us; reliable for recent events. */
  readonly knows: (eventId: EventId) => boolean;
}

/**
 * Checks whether the homeserver still delivers. A known fault stops it without an error (matrix-org/synapse#1834), and
 * a quiet homeserver looks the same. So the detector queries the newest event of recently active rooms. If one that had
 * time to arrive is missing, it makes the homeserver call us, and so retry at once. If the next look finds the same,
 * delivery is stalled. Times are not compared: events carry the clock of their server.
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

  /**
   * Takes one look.
   * @throws EmissaryError if the homeserver cannot be asked; the state then stays as it was.
   */
  async look(abort: AbortSignal): Promise<Delivery> {
    const { queries, clock, knows } = this.#parts;
    const seenAt = clock.now();
    const unknown = await this.#unknownEvents(abort);
    if (unknown.length > 0) await clock.sleep(GRACE_MS, abort);
    if (abort.aborted) return this.#delivery;
    if (unknown.every((eventId) => knows(eventId))) return (this.#delivery = { state: "flowing" });
    const cause = await queries.ping(abort);
    const before = this.#delivery;
    return (this.#delivery =
      before.state === "flowing"
        ? { state: "silent", since: seenAt, cause }
        : { state: "stalled", since: before.since, cause });
  }

  /**
   * Returns whether the newest events of the liveliest rooms other than `except` have arrived, or arrive within
   * moments. An event of `except` that has not arrived by then will not.
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
