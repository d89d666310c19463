import type { Clock } from "../../model/clock.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import type { HolderKind } from "../../model/lease.ts";
import type { Logger } from "../../model/logger.ts";
import { remember } from "../../concurrency/remember.ts";
import type { Signal } from "../../concurrency/signal.ts";
import type { FloodMeter } from "../../policy/flood.ts";
import type { PolicyInputs } from "../../policy/inputs.ts";
import type { ReviewStore } from "../store/reviews.ts";

export interface FloodsParts {
  readonly meter: FloodMeter;
  readonly store: Pick<ReviewStore, "flood">;
  readonly inputs: Pick<PolicyInputs, "isExcepted">;
  /** Fires when leases ended. */
  readonly ended: Signal;
  /** Called for leases that ended this way. */
  readonly refused: (code: string, holder: HolderKind, leases: number) => void;
  readonly flooded: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Shortest time between two log entries about a flooded room in which the operator keeps us. */
const LOGGED_MS = 60 * 60_000;
const LOGGED_ROOMS = 1_000;

/** Leaves rooms that send more than policy.max_event_rate, except rooms that the operator allows. */
export class Floods {
  readonly #parts: FloodsParts;
  readonly #logged = new Map<RoomId, number>();

  constructor(parts: FloodsParts) {
    this.#parts = parts;
  }

  /** Changes the rate, in events per second. */
  setRate(rate: number): void {
    this.#parts.meter.setRate(rate);
  }

  /** Counts written events. The consequences come later; the caller does not wait for them. */
  count(events: readonly RoomEvent[]): void {
    const { meter, clock, log } = this.#parts;
    for (const roomId of meter.count(events, clock.now())) {
      // A room that could not be left now will exceed the rate again.
      this.#leave(roomId).catch((error: unknown) => log.error("flood.not-left", { room: roomId, error }));
    }
  }

  async #leave(roomId: RoomId): Promise<void> {
    const { store, inputs, ended, refused, flooded, clock, log } = this.#parts;
    if (await inputs.isExcepted(roomId)) return;
    const now = clock.now();
    const reason = "the room sent more events than policy.max_event_rate allows";
    const outcome = await store.flood(roomId, reason, now);
    if (outcome === null) return;
    ended.notify();
    for (const kind of outcome.ended) refused("flooded", kind, 1);
    const logged = this.#logged.get(roomId);
    if (logged !== undefined && now >= logged && now - logged < LOGGED_MS) return;
    remember(this.#logged, roomId, now, LOGGED_ROOMS);
    flooded();
    log.warn("room.flooded", { room: roomId, leases: outcome.ended.length, stays: outcome.isKept });
  }
}
